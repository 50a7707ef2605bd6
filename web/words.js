// SPDX-License-Identifier: Apache-2.0
// A command line as a shell would cut it into words: blanks, quotes and backslashes; nothing is expanded, since no shell runs it.

export function split(text) {
  const words = [];
  let word = null;
  let quote = null;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quote) {
      if (c === quote) quote = null;
      else if (c === "\\" && quote === '"' && i + 1 < text.length && '"\\$`'.includes(text[i + 1])) word += text[++i];
      else word += c;
    } else if (c === "'" || c === '"') {
      quote = c;
      word = word === null ? "" : word;
    } else if (c === "\\" && i + 1 < text.length) {
      word = (word === null ? "" : word) + text[++i];
    } else if (/\s/.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word === null ? "" : word) + c;
    }
  }
  if (quote) throw new Error(`A ${quote} is never closed.`);
  if (word !== null) words.push(word);
  return words;
}
