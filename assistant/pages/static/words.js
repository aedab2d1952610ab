// Puts figures into words.

/** Models are known by when they were made: "2026-11-21 19:35". */
export const version = (created) => created?.slice(0, 16).replace("T", " ") ?? "";

export const modelName = (model, created) => [model, version(created)].filter(Boolean).join(", ");

/** "42 tokens · 31/s · first after 120 ms", as far as it is known. */
export function speed(usage) {
  if (!usage?.completion_tokens) return "";
  const { completion_tokens: tokens, seconds, first_token_s: first } = usage;
  const parts = [tokens === 1 ? "1 token" : `${tokens} tokens`];
  if (seconds) parts.push(`${(tokens / seconds).toFixed(tokens / seconds < 10 ? 1 : 0)}/s`);
  if (first) parts.push(`first after ${first < 1 ? `${Math.round(first * 1000)} ms` : `${first.toFixed(1)} s`}`);
  return parts.join(" · ");
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1024 ** 2 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}
