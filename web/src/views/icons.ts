/** Line icons of 20 × 20. They are decoration: what they stand for is said in words beside them or by a label. */

import { svg, type TemplateResult } from "lit-html";

const icon = (content: TemplateResult): TemplateResult =>
  svg`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">${content}</svg>`;

export const icons = {
  account: icon(svg`<circle cx="10" cy="7" r="3.2" /><path d="M3.8 16.5c.6-3.4 3-5 6.2-5s5.6 1.6 6.2 5" />`),
  add: icon(svg`<path d="M10 4v12M4 10h12" />`),
  back: icon(svg`<path d="M12.5 4.5 7 10l5.5 5.5" />`),
  close: icon(svg`<path d="m5 5 10 10M15 5 5 15" />`),
  down: icon(svg`<path d="M10 4v11.5M5 10.5l5 5 5-5" />`),
  members: icon(
    svg`<circle cx="7.5" cy="7" r="2.8" /><path d="M2.5 16c.4-3 2.3-4.6 5-4.6s4.6 1.6 5 4.6" />
      <path d="M13 4.4a2.8 2.8 0 0 1 0 5.2M14.8 11.9c1.5.7 2.4 2.1 2.7 4.1" />`,
  ),
  send: icon(svg`<path d="M10 16V4.5M4.8 9.7 10 4.5l5.2 5.2" />`),
  signOut: icon(svg`<path d="M8 3.5H4.5v13H8M12 6.5 15.5 10 12 13.5M15.3 10H8" />`),
  sending: icon(svg`<circle cx="10" cy="10" r="5.5" /><path d="M10 7v3.2l2 1.3" />`),
  sent: icon(svg`<path d="m5 10.5 3.5 3.5L15.5 6.5" />`),
  received: icon(svg`<path d="m2 10.5 3.5 3.5 7-7.5M9.5 13l1 1 7-7.5" />`),
  failed: icon(svg`<circle cx="10" cy="10" r="6.5" /><path d="M10 6.5v4.2M10 13.4v.1" />`),
};
