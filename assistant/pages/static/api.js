// Speaks to the server: JSON both ways, and its errors as sentences.

export class ApiFailure extends Error {
  constructor(status, error) {
    super(error?.message ?? `The server answered with status ${status}.`);
    this.status = status;
    this.code = error?.code;
  }
}

/** The server cannot be reached at all. */
export class Unreachable extends Error {}

async function call(method, path, body, options = {}) {
  const headers = { "X-Homegrown": "1", ...(body && { "Content-Type": "application/json" }) };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), ...options });
  } catch {
    throw new Unreachable("The server cannot be reached.");
  }
  if (answer.status === 401) location.assign("/login");
  const content = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiFailure(answer.status, content?.error);
  return content;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const patch = (path, body) => call("PATCH", path, body);
/** Goes out even while the page is being closed. */
export const remove = (path) => call("DELETE", path, undefined, { keepalive: true });

/** Send a file; `progress` is called with the share that has arrived. XMLHttpRequest, since fetch tells no progress. */
export function upload(path, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file);
    request.open("POST", path);
    request.responseType = "json";
    request.setRequestHeader("X-Homegrown", "1");
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () =>
      request.status < 300 ? resolve(request.response) : reject(new ApiFailure(request.status, request.response?.error));
    request.onerror = () => reject(new Unreachable("The server cannot be reached."));
    request.send(form);
  });
}
