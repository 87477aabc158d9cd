/** The log of the plugin: it says what an operator should know. */
export interface SseLogger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string | Error): void;
}
