// The messages of a conversation as a tree: asking or answering again makes a branch, and one leaf is shown.

export class Tree {
  constructor(messages = [], head = null) {
    this.messages = new Map(messages.map((message) => [message.id, message]));
    this.head = head ?? messages.at(-1)?.id ?? null;
  }

  /** Add a message, or put what is known of it by now. */
  put(message) {
    this.messages.set(message.id, message);
  }

  /** The messages from the first question to the leaf that is shown. */
  path() {
    const path = [];
    for (let at = this.messages.get(this.head); at; at = this.messages.get(at.parent_id)) path.unshift(at);
    return path;
  }

  /** Ids of the messages that stand at the same place, oldest first. */
  siblings(message) {
    return this.children(message.parent_id).map((one) => one.id);
  }

  children(parentId) {
    return [...this.messages.values()].filter((one) => one.parent_id === parentId);
  }

  /** The newest leaf below a message. */
  leaf(id) {
    for (let below = this.children(id); below.length; below = this.children(id)) id = below.at(-1).id;
    return id;
  }
}
