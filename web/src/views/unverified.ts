/** What somebody sees whose e-mail address is not verified yet. */

import { html, type TemplateResult } from "lit-html";

export interface UnverifiedProps {
  readonly email: string;
  /** Whether the mail was sent again just now. */
  readonly sent: boolean;
  readonly resend: () => void;
  readonly check: () => void;
}

export function unverified({ email, sent, resend, check }: UnverifiedProps): TemplateResult {
  return html`
    <aside class="banner" aria-label="Your address is not verified">
      <p>
        To talk to others, open the link that we sent to <bdi class="strong">${email}</bdi>.
      </p>
      <div class="banner-buttons">
        <button class="link" type="button" @click=${check}>I have opened it</button>
        <span role="status">${
          sent
            ? html`<span class="hint">Sent again.</span>`
            : html`<button class="link" type="button" @click=${resend}>Send it again</button>`
        }</span>
      </div>
    </aside>
  `;
}
