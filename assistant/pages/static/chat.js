// The conversation that is open: asks, follows the answer, and tells the rest of the page what changed.

import { get, patch, post, remove } from "./api.js";
import { follow } from "./events.js";
import { say, toast, Watch } from "./notices.js";
import { Transcript } from "./transcript.js";
import { Tree } from "./tree.js";

const RELOAD_MS = 2000;

/** Events: `opened`, `changed` (title, model, persona, settings), `running`, `listed` (the sidebar is out of date). */
export class Chat extends EventTarget {
  constructor(me) {
    super();
    this.me = me;
    this.conversation = null;
    this.draft = { model: me.defaults.model, persona: null, settings: {} };
    this.tree = new Tree();
    this.running = null;
    this.leave = null;
    this.opening = 0;
    this.transcript = new Transcript(this);
    this.watch = new Watch(() => this.refresh());
    this.tabs = new BroadcastChannel("homegrown");
    this.tabs.onmessage = ({ data }) => this.elsewhere(data);
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  /** What is chosen for this conversation, or for the one that the next question begins. */
  get choice() {
    return this.conversation ?? this.draft;
  }

  /** Open a conversation by its id, or a new one. */
  async open(id) {
    const opening = ++this.opening;
    const conversation = id ? await get(`/api/conversations/${id}`) : null;
    if (opening !== this.opening) return; // another one was opened meanwhile
    this.unfollow();
    if (this.conversation?.id !== id || !id) this.transcript.clear();
    this.conversation = conversation;
    this.tree = new Tree(conversation?.messages, conversation?.head_id);
    this.transcript.show(this.tree);
    this.tell("opened");
    const answer = conversation?.messages.find((message) => message.state === "running");
    if (answer) this.follow(answer);
  }

  /** Load the open conversation again, as after a lost connection. */
  async refresh() {
    this.tell("listed");
    if (this.conversation) await this.open(this.conversation.id);
  }

  /** Ask at the end, or in place of another question after the same answer. Resolves to whether it was taken. */
  async ask(content, parentId = this.tree.path().findLast((message) => message.role === "assistant")?.id ?? null) {
    return this.begin(async () => {
      if (!this.conversation) {
        this.conversation = await post("/api/conversations", this.draft);
        this.tell("opened");
      }
      return post(`/api/conversations/${this.conversation.id}/turns`, { parent_id: parentId, content });
    });
  }

  regenerate(message) {
    return this.begin(() => post(`/api/messages/${message.id}/regenerate`));
  }

  drawAgain(message, step) {
    return this.begin(() => post(`/api/messages/${message.id}/draw-again`, { step }));
  }

  /** Have the server begin an answer, show it and follow it. */
  async begin(request) {
    if (this.running) return toast("An answer is being written: stop it first, or wait."), false;
    const begun = await this.attempt(request);
    if (!begun) return false;
    for (const message of [begun.user, begun.assistant]) if (message) this.tree.put(message);
    this.tree.head = begun.assistant.id;
    this.transcript.sticky = true;
    this.transcript.show(this.tree);
    this.follow(begun.assistant);
    this.changedHere();
    if (!this.conversation.title) this.refreshTitle();
    return true;
  }

  follow(message) {
    this.unfollow();
    this.running = message.id;
    this.tell("running");
    say("Generating");
    const view = this.transcript.views.get(message.id) ?? this.transcript.view(message, this.tree, true);
    this.leave = follow(message.id, {
      snapshot: (data) => view.snapshot(data),
      text: ({ text }) => view.text(text),
      html: ({ html, from }) => view.grow(html, from),
      tool: (call) => view.call(call),
      progress: (data) => view.progress(data),
      step: (data) => view.step(data),
      forgot: () => view.forgot(),
      end: (data) => this.ended(data),
      waiting: () => this.watch.look(),
      lost: () => setTimeout(() => this.running === message.id && this.refresh().catch(() => this.watch.look()), RELOAD_MS),
    });
  }

  ended({ message, error }) {
    this.unfollow();
    this.tree.put(message);
    this.transcript.show(this.tree);
    say(error ? `The answer failed: ${error.message}` : message.state === "stopped" ? "Stopped" : "Response complete");
    if (error?.code === "engine_unavailable") this.watch.look();
    this.changedHere();
  }

  unfollow() {
    this.leave?.();
    this.leave = null;
    if (!this.running) return;
    this.running = null;
    this.tell("running");
  }

  stop() {
    if (this.running) this.attempt(() => post(`/api/messages/${this.running}/stop`));
  }

  /** Show the branch through a message. */
  show(id) {
    this.tree.head = this.tree.leaf(id);
    this.transcript.show(this.tree);
    this.transcript.views.get(id)?.element.querySelector(".pager button:not(:disabled)")?.focus();
    this.attempt(() => patch(`/api/conversations/${this.conversation.id}`, { head_id: this.tree.head }));
  }

  /** Keep what somebody thinks of an answer. */
  async judge(message, opinion) {
    const given = await this.attempt(() => post(`/api/messages/${message.id}/feedback`, opinion));
    if (given) message.feedback = given;
    return Boolean(given);
  }

  /** Change title, model, persona or settings. */
  async change(changes) {
    if (this.conversation) {
      const { messages, ...changed } = (await this.attempt(() => patch(`/api/conversations/${this.conversation.id}`, changes))) ?? {};
      Object.assign(this.conversation, changed);
      this.changedHere();
    } else {
      Object.assign(this.draft, changes);
    }
    this.tell("changed");
  }

  /** The server names a conversation after its first question. */
  async refreshTitle() {
    const id = this.conversation.id;
    const { title } = (await this.attempt(() => get(`/api/conversations/${id}`))) ?? {};
    if (!title || this.conversation?.id !== id) return;
    this.conversation.title = title;
    this.tell("changed");
  }

  delete(id) {
    return remove(`/api/conversations/${id}`).then(() => this.changedHere());
  }

  changedHere() {
    this.tabs.postMessage(this.conversation?.id ?? null);
    this.tell("listed");
  }

  elsewhere(id) {
    if (id === this.conversation?.id && !this.running) this.refresh();
    else this.tell("listed");
  }

  /** The result, or null after its failure was told. */
  async attempt(request) {
    try {
      return await request();
    } catch (error) {
      toast(error.message);
      this.watch.look();
      return null;
    }
  }
}
