// Follows an answer while it is written. Every connection begins with a snapshot, so a lost one needs no care.

const KINDS = ["snapshot", "text", "html", "tool", "progress", "step", "forgot"];

/** Calls on[kind](data) for every event, then on.end(data) once, or on.lost() if the server does not know the answer any more. */
export function follow(messageId, on) {
  const source = new EventSource(`/api/messages/${messageId}/events`);
  const told = (handler) => (event) => handler(JSON.parse(event.data));
  for (const kind of KINDS) source.addEventListener(kind, told(on[kind]));
  const end = (data) => {
    source.close();
    on.end(data);
  };
  source.addEventListener("done", told(end));
  // The server's event `error` and the browser's own, for a lost connection, share a name.
  source.addEventListener("error", (event) => {
    if (event.data) told(end)(event);
    else if (source.readyState === EventSource.CLOSED) on.lost();
    else on.waiting();
  });
  return () => source.close();
}
