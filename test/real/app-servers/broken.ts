// The twin of python/broken.py: an application that cannot be loaded.
export const app: unknown = null;

throw new Error('broken on import');
