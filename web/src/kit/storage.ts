// The browser's storage, which may be missing: browsers refuse it in other sites' frames, or where it is switched off.
// What cannot be kept is forgotten.

interface Kept {
  get: (key: string) => string | null;
  set: (key: string, value: string) => void;
  remove: (key: string) => void;
}

/** `find` is called each time: reading the property itself can throw. */
export function guarded(find: () => Storage): Kept {
  const attempt = <T>(act: (storage: Storage) => T): T | null => {
    try {
      return act(find());
    } catch {
      return null;
    }
  };
  return {
    get: (key) => attempt((storage) => storage.getItem(key)),
    set: (key, value) => {
      attempt((storage) => {
        storage.setItem(key, value);
      });
    },
    remove: (key) => {
      attempt((storage) => {
        storage.removeItem(key);
      });
    },
  };
}

/** Shared by the browser's tabs. */
export const stored = guarded(() => localStorage);
/** This tab's. */
export const tabStored = guarded(() => sessionStorage);
