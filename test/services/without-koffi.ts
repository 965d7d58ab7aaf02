// Preloaded with --import: to what runs then, koffi is not installed.
import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, nextResolve) {
    if (specifier === 'koffi') throw Object.assign(new Error('no koffi here'), { code: 'MODULE_NOT_FOUND' });
    return nextResolve(specifier, context);
  },
});
