/** Required by `npm run test:all`: tests every installed backend, unless BACKENDS says otherwise. */
process.env["BACKENDS"] ??= "all";
