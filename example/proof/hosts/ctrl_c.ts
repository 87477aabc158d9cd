// Ctrl-C goes to every process of the terminal, and npm sends it once more. Egg's master acts on the first one and ends
// its workers in order, streams said goodbye to; without this, the workers would be dead before it asks them.
process.on('SIGINT', () => {});
