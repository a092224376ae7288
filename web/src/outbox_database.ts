/**
 * The outbox in IndexedDB, shared by the tabs of this browser.
 *
 * Each entry belongs to one tab, which holds a Web Lock named after itself for as long as it lives; the browser
 * releases the lock however the tab ends. {@link OutboxDatabase.adopt} takes over the entries of tabs whose lock is
 * gone, under a lock of its own, so that every entry is sent by exactly one living tab.
 */

import type { Entry, OutboxStorage } from "./outbox";

const DATABASE = "chiron";
const STORE = "outbox";
const ADOPTION = "chiron.outbox";
const tabLock = (tab: string): string => `chiron.tab.${tab}`;

type StoredEntry = Entry & { readonly tab: string };

export class OutboxDatabase implements OutboxStorage {
  private constructor(
    private readonly open: () => Promise<IDBDatabase>,
    private readonly locks: LockManager,
    private readonly tab: string,
    private readonly claimed: Promise<void>,
  ) {}

  /** Claims this tab's lock, for as long as the page lives. */
  static claim(factory: IDBFactory, locks: LockManager, tab: string): OutboxDatabase {
    let database: Promise<IDBDatabase> | null = null;
    const claimed = new Promise<void>((resolve) => {
      void locks.request(tabLock(tab), () => {
        resolve();
        return new Promise<never>(() => undefined);
      });
    });
    return new OutboxDatabase(() => (database ??= openDatabase(factory)), locks, tab, claimed);
  }

  async put(entry: Entry): Promise<void> {
    const stored: StoredEntry = { ...entry, tab: this.tab };
    await this.run("readwrite", (store) => store.put(stored));
  }

  async remove(clientId: string): Promise<void> {
    await this.run("readwrite", (store) => store.delete(clientId));
  }

  /** Take over what tabs that are gone have left unsent for this person, in order of writing. */
  async adopt(person: string): Promise<Entry[]> {
    await this.claimed;
    return this.locks.request(ADOPTION, async () => {
      const all = await this.run<StoredEntry[]>("readonly", (store) => store.getAll());
      const { held = [] } = await this.locks.query();
      const alive = new Set(held.map((lock) => lock.name));
      const orphans = all.filter((entry) => entry.person === person && !alive.has(tabLock(entry.tab)));
      for (const entry of orphans) await this.put(entry);
      return orphans.map(({ tab: _, ...entry }) => entry);
    });
  }

  private async run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const database = await this.open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error ?? new DOMException("the transaction failed"));
      transaction.onabort = () => reject(transaction.error ?? new DOMException("the transaction was aborted"));
    });
  }
}

function openDatabase(factory: IDBFactory): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "client_id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new DOMException("the database could not be opened"));
  });
}
