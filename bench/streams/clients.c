// Many clients of streams, as browsers are clients: each reads a stream, notes its last event id, and when the stream ends it
// comes back with that id after as long as `retry:` told it. Each checks that it gets the messages 0, 1, 2 … once, in order.
//
// A message's data is its number and when it was published, in ns of CLOCK_MONOTONIC.
//
//   clients <port> <source address> <path>     then one command a line on stdin, one JSON object a line on stdout:
//   open <count>       begins to open so many
//   state <messages>   says how they are; `behind` are those that do not have so many messages yet
//   delays <number>    says of each client that has just had this message how many µs after its publishing
//
// It ends when stdin does.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 128, ID = 64, BUFFER = 1 << 16, EVENTS = 512, RETRY_MS = 2000, TICK_MS = 20 };
// Who has no stream by then gives up and comes back, as it is with most proxies: Node.js forgets a connection that it is just
// handing to a worker when that worker is killed.
#define ANSWER_NS (60 * 1000000000ull)
// At once, so that what waits at the server's door has room there.
enum { CONNECTING = 64 };

typedef enum { IDLE, OPENING, OPEN, AWAY } State;
typedef enum { HEAD, SIZE, CHUNK, CHUNK_END } Part;

typedef struct {
  int fd;
  uint8_t state, part, is_own;
  uint8_t length;         // of what is in `line`
  uint32_t left;          // of the chunk
  uint32_t next;          // the number expected next
  uint32_t number, delay; // the last message: its number, and how long it took in µs
  uint32_t retry;         // ms
  uint64_t due;           // when it comes back, in ns
  uint64_t asked_at;      // when it began to open its stream, in ns
  uint64_t published;
  char line[LINE], id[ID], new_id[ID];
} Client;

static Client *clients;
static int count, epoll_fd;
static uint32_t opening, opened, away;
static uint64_t refused, unanswered, dropped, lost, twice, gaps, opened_at;
static struct sockaddr_in to = {.sin_family = AF_INET}, from = {.sin_family = AF_INET};
static const char *path;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void connect_one(Client *c) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) die("socket");
  int one = 1;
  // The kernel chooses the port when it knows both ends: an address has few of them.
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind");
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) die("connect");
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = (uint32_t)(c - clients)};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) die("epoll_ctl");
  c->state = OPENING;
  c->part = HEAD;
  c->length = 0;
  c->is_own = 0;
  c->new_id[0] = 0;
  c->asked_at = now_ns();
  opening++;
}

static void send_request(Client *c) {
  char request[1024];
  int n = snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n"
                   "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n"
                   "Accept-Language: en-GB,en;q=0.9\r\n%s%s%s\r\n",
                   path, c->id[0] ? "Last-Event-ID: " : "", c->id, c->id[0] ? "\r\n" : "");
  // What fails here is told by the next read.
  if (send(c->fd, request, (size_t)n, MSG_NOSIGNAL) != n) shutdown(c->fd, SHUT_RDWR);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(c - clients)};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void leave(Client *c) {
  if (c->state == OPENING) opening--, refused++;
  else opened--, dropped++;
  close(c->fd);
  c->state = AWAY;
  c->due = now_ns() + (uint64_t)c->retry * 1000000ull;
  away++;
}

static void take_message(Client *c, uint64_t now) {
  if (c->number < c->next) {
    twice++;
    return;
  }
  lost += c->number - c->next;
  c->next = c->number + 1;
  c->delay = (uint32_t)((now - c->published) / 1000);
}

// A line of the event stream.
static void take_line(Client *c, uint64_t now) {
  char *line = c->line;
  if (line[0] == 0) {
    if (c->new_id[0] != 0) memcpy(c->id, c->new_id, ID);
    if (c->published != 0 && !c->is_own) take_message(c, now);
    c->published = 0;
    c->is_own = 0;
  } else if (strncmp(line, "data: ", 6) == 0 && !c->is_own) {
    char *end;
    c->number = (uint32_t)strtoul(line + 6, &end, 10);
    c->published = strtoull(end, NULL, 10);
  } else if (strncmp(line, "id: ", 4) == 0) {
    snprintf(c->new_id, ID, "%s", line + 4);
  } else if (strncmp(line, "retry: ", 7) == 0) {
    c->retry = (uint32_t)atoi(line + 7);
  } else if (strncmp(line, "event: ", 7) == 0) {
    c->is_own = 1;
    if (strcmp(line + 7, "sse:gap") == 0) gaps++;
    if (strcmp(line + 7, "sse:hello") == 0 && c->state == OPENING) {
      c->state = OPEN;
      opening--;
      opened++;
      opened_at = now;
    }
  }
}

// One byte of a line; says whether the line is whole. What is longer than any line that matters is cut.
static int add(Client *c, char byte) {
  if (byte == '\n') {
    if (c->length > 0 && c->line[c->length - 1] == '\r') c->length--;
    c->line[c->length] = 0;
    c->length = 0;
    return 1;
  }
  if (c->length < LINE - 1) c->line[c->length++] = byte;
  return 0;
}

// What a connection has sent; says whether the stream goes on. A chunk of HTTP ends where an event does.
static int take(Client *c, const char *p, const char *end, uint64_t now) {
  for (; p < end; p++) {
    switch (c->part) {
      case HEAD:
        if (!add(c, *p)) break;
        if (strncmp(c->line, "HTTP/1.1 ", 9) == 0 && strncmp(c->line + 9, "200", 3) != 0) return 0;
        if (c->line[0] == 0) c->part = SIZE;
        break;
      case SIZE:
        if (!add(c, *p)) break;
        c->left = (uint32_t)strtoul(c->line, NULL, 16);
        if (c->left == 0) return 0;
        c->part = CHUNK;
        break;
      case CHUNK:
        if (add(c, *p)) take_line(c, now);
        if (--c->left == 0) c->part = CHUNK_END;
        break;
      case CHUNK_END:
        if (*p == '\n') c->part = SIZE;
        break;
    }
  }
  return 1;
}

static void receive(Client *c) {
  static char buffer[BUFFER];
  ssize_t n = recv(c->fd, buffer, BUFFER, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0 || !take(c, buffer, buffer + n, now_ns())) leave(c);
}

static void command(const char *line) {
  const char *space = strchr(line, ' ');
  uint32_t number = space == NULL ? 0 : (uint32_t)strtoul(space, NULL, 10);
  if (strncmp(line, "open", 4) == 0) {
    clients = calloc(number, sizeof *clients);
    if (clients == NULL) die("calloc");
    for (; (uint32_t)count < number; count++) {
      clients[count].retry = RETRY_MS;
      clients[count].number = UINT32_MAX;
    }
    printf("{}\n");
  } else if (strncmp(line, "state", 5) == 0) {
    uint32_t behind = 0;
    for (int i = 0; i < count; i++) behind += clients[i].next < number;
    printf("{\"opening\":%u,\"open\":%u,\"away\":%u,\"behind\":%u,\"refused\":%lu,\"unanswered\":%lu,\"dropped\":%lu,\"lost\":%lu,\"twice\":%lu,\"gaps\":%lu,"
           "\"openedAt\":%lu}\n",
           opening, opened, away, behind, refused, unanswered, dropped, lost, twice, gaps, opened_at);
  } else if (strncmp(line, "delays", 6) == 0) {
    const char *comma = "";
    printf("[");
    for (int i = 0; i < count; i++) {
      if (clients[i].number != number) continue;
      printf("%s%u", comma, clients[i].delay);
      comma = ",";
    }
    printf("]\n");
  }
  fflush(stdout);
}

// Reads commands; says whether there may be more.
static int listen_to_commands(void) {
  static char text[4096];
  static size_t held;
  ssize_t n = read(0, text + held, sizeof text - 1 - held);
  if (n <= 0) return 0;
  held += (size_t)n;
  text[held] = 0;
  for (char *end; (end = strchr(text, '\n')) != NULL;) {
    *end = 0;
    command(text);
    held -= (size_t)(end + 1 - text);
    memmove(text, end + 1, held + 1);
  }
  return 1;
}

// Opens those whose time it is, as many as may be on their way, and gives up those that get no answer. Looks every tick.
static void open_due(void) {
  static int at;
  static uint64_t looked_at;
  uint64_t now = now_ns();
  if (now - looked_at < TICK_MS * 1000000ull) return;
  looked_at = now;
  for (int looked = 0; looked < count; looked++, at = (at + 1) % count) {
    Client *c = &clients[at];
    if (c->state == OPENING && now - c->asked_at > ANSWER_NS) leave(c), refused--, unanswered++;
    if (opening == CONNECTING || c->state == OPENING || c->state == OPEN || (c->state == AWAY && c->due > now)) continue;
    if (c->state == AWAY) away--;
    connect_one(c);
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  to.sin_port = htons((uint16_t)atoi(argv[1]));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (inet_pton(AF_INET, argv[2], &from.sin_addr) != 1) return 2;
  path = argv[3];

  epoll_fd = epoll_create1(0);
  struct epoll_event events[EVENTS], input = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input);
  for (;;) {
    if (opened < (uint32_t)count) open_due();
    int n = epoll_wait(epoll_fd, events, EVENTS, TICK_MS);
    for (int i = 0; i < n; i++) {
      if (events[i].data.u32 == UINT32_MAX) {
        if (!listen_to_commands()) return 0;
        continue;
      }
      Client *c = &clients[events[i].data.u32];
      if (c->state == AWAY) continue;
      if (events[i].events & EPOLLOUT) send_request(c);
      else receive(c);
    }
  }
}
