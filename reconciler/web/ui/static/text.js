// What a container says is text. As in the pages: characters that are not to be seen are replaced.
"use strict";

const shownText = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, (each) => (each === "\t" || each === "\n" ? each : "\ufffd"));
