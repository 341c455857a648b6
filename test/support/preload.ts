// Loaded before every test file. The tests must not depend on the machine's settings, so the one thing that
// could differ between machines and is not part of any test, the time zone, is fixed here.
process.env.TZ = 'UTC'
