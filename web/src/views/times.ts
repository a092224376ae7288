/** How times are said: in the reader's language, zone and calendar. */

const clockTime = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const fullDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const shortDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const shortYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const relativeDay = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const DAY = 86_400_000;

/** Whole calendar days from `time` to `now`, in the reader's zone. */
function daysAgo(time: number, now: number): number {
  const midnight = (at: number): number => new Date(at).setHours(0, 0, 0, 0);
  return Math.round((midnight(now) - midnight(time)) / DAY);
}

const sameYear = (time: number, now: number): boolean => new Date(time).getFullYear() === new Date(now).getFullYear();

/** `10:41` */
export const timeOfDay = (time: number): string => clockTime.format(time);

/** `Monday, 3 March 2025 at 10:41:07` */
export const exactTime = (time: number): string => moment.format(time);

/** `Today`, `Yesterday`, `Monday`, `Monday, 3 March`, `3 March 2024` */
export function dayName(time: number, now: number): string {
  const days = daysAgo(time, now);
  if (days === 0 || days === 1) return capitalized(relativeDay.format(-days, "day"));
  if (days > 1 && days < 7) return weekday.format(time);
  return (sameYear(time, now) ? dayOfYear : fullDay).format(time);
}

/** `10:41`, `Yesterday`, `3 Mar`, `3 Mar 24`: short, for a list. */
export function shortTime(time: number, now: number): string {
  const days = daysAgo(time, now);
  if (days <= 0) return timeOfDay(time);
  if (days === 1) return capitalized(relativeDay.format(-1, "day"));
  return (sameYear(time, now) ? shortDay : shortYear).format(time);
}

function capitalized(text: string): string {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}
