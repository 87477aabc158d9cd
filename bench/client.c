// The clients of the benchmark: opens many streams, reads them, and checks each one.
//
// A message's data is `@@` + its number (8 hex digits) + when it was published (16 hex digits, CLOCK_MONOTONIC ns) + filling
// + `$`, in all as long as was agreed. Every connection must get the numbers 0, 1, 2 … none missing, none twice.
//
//   client <port> <progress file>     then one command a line on stdin, one JSON object a line on stdout:
//   open clients=1000 path=/stream?connectKey=k keys=0 stalled=0 head=1 [id=<Last-Event-ID>]
//       opens that many. With keys=n, connection i asks for n keys: each number is put behind the path and `&connectKey=k`.
//       stalled=n: each n-th reads nothing after its head. head=0: does not wait for the head of the answers.
//   run messages=100 size=200 timeout=10 clients=1000
//       says {"ready":true}, expects so many messages at each connection, then says what came. It ends when each
//       connection has all, or when nothing has come for `timeout` seconds.
//   close
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MARK = 26, ROOM = 64, BUFFER = 1 << 18, CONNECTING = 128, EVENTS = 1024, BUCKETS = 64 * 64 };

typedef struct {
  int fd;
  uint32_t next;    // the number expected next
  uint32_t skip;    // bytes up to the end of the data that is being read
  uint8_t carried;  // bytes of a mark that was split
  uint8_t state;    // CLOSED …
  char carry[MARK];
} Connection;
enum { CLOSED, OPENING, OPEN, STALLED };

static Connection *connections;
static int capacity, opened, opening, wanted, stalled_each, keys, needs_head, port, epoll_fd;
static int64_t refused, dropped;
static char path[1024], last_id[256];
static volatile uint64_t *progress;
static double opening_since;
static char room[ROOM + BUFFER], *const buffer = room + ROOM;

static struct {
  int active, readers, complete;
  uint32_t messages, size;
  double timeout, began, first, last, cpu;
  int64_t deliveries, lost, late, torn, bytes, reads;
  uint64_t *slowest;  // by message, ns until the last connection had it
  uint64_t max;
} run;
static int64_t histogram[BUCKETS];
static int8_t digits[256];

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}
static double now_s(void) { return (double)now_ns() / 1e9; }
static double cpu_s(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

// 64 buckets for each power of two: a percentile is right within 2 %.
static int bucket_of(uint64_t ns) {
  if (ns < 64) return (int)ns;
  int power = 63 - __builtin_clzll(ns);
  int bucket = (power - 5) * 64 + (int)((ns >> (power - 6)) & 63);
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}
static double bucket_ms(int bucket) {
  if (bucket < 64) return bucket / 1e6;
  return (double)((uint64_t)(64 + bucket % 64) << (bucket / 64 - 1)) / 1e6;
}
static double percentile(double share) {
  int64_t all = 0, sum = 0;
  for (int i = 0; i < BUCKETS; i++) all += histogram[i];
  for (int i = 0; i < BUCKETS; i++)
    if ((sum += histogram[i]) > 0 && (double)sum >= share * (double)all) return bucket_ms(i);
  return 0;
}
static int by_size(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void report(void) {
  double cpu = cpu_s() - run.cpu, seconds = run.last - run.first, wall = now_s() - run.began;
  int64_t missing = 0;
  for (int i = 0; i < wanted; i++)
    if (connections[i].state != STALLED) missing += run.messages - connections[i].next;
  double p50 = percentile(0.5), p90 = percentile(0.9), p99 = percentile(0.99), p999 = percentile(0.999);
  qsort(run.slowest, run.messages, sizeof *run.slowest, by_size);
#define SLOWEST(share) ((double)run.slowest[(uint32_t)((run.messages - 1) * (share))] / 1e6)
  printf("{\"deliveries\":%ld,\"expected\":%ld,\"lost\":%ld,\"late\":%ld,\"torn\":%ld,\"missing\":%ld,\"dropped\":%ld,"
         "\"bytes\":%ld,\"reads\":%ld,\"seconds\":%.6f,\"cpu\":%.6f,\"busy\":%.4f,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,"
         "\"p999\":%.4f,\"max\":%.4f,\"lastP50\":%.4f,\"lastP99\":%.4f,\"lastMax\":%.4f}\n",
         run.deliveries, (int64_t)run.messages * run.readers, run.lost, run.late, run.torn, missing, dropped, run.bytes,
         run.reads, seconds, cpu, wall > 0 ? cpu / wall : 0, p50, p90, p99, p999, (double)run.max / 1e6, SLOWEST(0.5),
         SLOWEST(0.99), SLOWEST(1));
  fflush(stdout);
  run.active = 0;
}

static void take(Connection *c, const char *mark, uint64_t now) {
  uint64_t number = 0, at = 0;
  for (int i = 2; i < 10; i++) number = number << 4 | (uint64_t)(digits[(uint8_t)mark[i]] & 15);
  for (int i = 10; i < MARK; i++) at = at << 4 | (uint64_t)(digits[(uint8_t)mark[i]] & 15);
  if (!run.active) return;
  run.deliveries++;
  if (number < c->next) {
    run.late++;
  } else {
    run.lost += (int64_t)number - c->next;
    c->next = (uint32_t)number + 1;
    if (c->next == run.messages) run.complete++;
  }
  uint64_t ns = now > at ? now - at : 0;
  histogram[bucket_of(ns)]++;
  if (ns > run.max) run.max = ns;
  if (number < run.messages && ns > run.slowest[number]) run.slowest[number] = ns;
}

static void feed(Connection *c, char *data, size_t length, uint64_t now) {
  char *p = data, *end = data + length;
  if (c->skip > 0) {
    size_t n = c->skip < length ? c->skip : length;
    p += n;
    c->skip -= (uint32_t)n;
    if (c->skip > 0) return;
    if (p[-1] != '$') run.torn++;
  } else if (c->carried > 0) {
    // There is room before the buffer: a split mark becomes whole.
    p -= c->carried;
    memcpy(p, c->carry, c->carried);
    c->carried = 0;
  }
  while (p < end) {
    char *at = memchr(p, '@', (size_t)(end - p));
    if (at == NULL) return;
    if (end - at < MARK) {
      c->carried = (uint8_t)(end - at);
      memcpy(c->carry, at, c->carried);
      return;
    }
    if (at[1] != '@') {
      p = at + 1;
      continue;
    }
    take(c, at, now);
    p = at + run.size;
    if (run.size < MARK || !run.active) {
      p = at + MARK;
    } else if (p > end) {
      c->skip = (uint32_t)(p - end);
      return;
    } else if (p[-1] != '$') {
      run.torn++;
      p = at + MARK;
    }
  }
}

static void forget(Connection *c) {
  if (c->state == OPENING) opening--;
  if (c->state != CLOSED) close(c->fd);
  c->state = CLOSED;
}

static void say_open(void) {
  if (opened + refused < wanted || opening_since == 0) return;
  printf("{\"open\":%d,\"refused\":%ld,\"seconds\":%.6f}\n", opened, refused, now_s() - opening_since);
  fflush(stdout);
  opening_since = 0;
}

static void is_open(Connection *c) {
  int i = (int)(c - connections);
  opening--;
  opened++;
  c->state = OPEN;
  if (stalled_each > 0 && i % stalled_each == 0) {
    c->state = STALLED;
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
  }
}

static void open_one(int i) {
  Connection *c = &connections[i];
  memset(c, 0, sizeof *c);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) {
    perror("socket (is `ulimit -n` high enough?)");
    exit(1);
  }
  int one = 1;
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  // Else the kernel takes megabytes for one that does not read.
  int small = 65536;
  if (stalled_each > 0 && i % stalled_each == 0) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  // An address has about 28,000 ports.
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)i / 10000u)};
  bind(c->fd, (struct sockaddr *)&from, sizeof from);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(0x7f000001)};
  c->state = OPENING;
  opening++;
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
    perror("connect");
    exit(1);
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = (uint32_t)i};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void send_request(Connection *c) {
  static char request[1 << 16];
  int i = (int)(c - connections), n = snprintf(request, sizeof request, "GET %s", path);
  for (int k = 0; k < keys; k++)
    n += snprintf(request + n, sizeof request - (size_t)n, "%s%d", k == 0 ? "" : "&connectKey=k", i + k * wanted);
  n += snprintf(request + n, sizeof request - (size_t)n,
                " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: keep-alive\r\nAccept: text/event-stream\r\n"
                "Cache-Control: no-cache\r\nsec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n"
                "sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n"
                "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n"
                "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
                "Referer: https://app.example.com/dashboard/projects/%d\r\nAccept-Encoding: identity\r\n"
                "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
                "Cookie: session=%08xd41d8cd98f00b204e9800998ecf8427e; csrfToken=%08xZm9vYmFyYmF6cXV4; locale=en-gb; theme=dark\r\n",
                port, i, i, i);
  if (last_id[0] != 0) n += snprintf(request + n, sizeof request - (size_t)n, "Last-Event-ID: %s\r\n", last_id);
  n += snprintf(request + n, sizeof request - (size_t)n, "\r\n");
  if (send(c->fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
    refused++;
    forget(c);
    return;
  }
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
  if (!needs_head) is_open(c);
}

static void receive(Connection *c) {
  ssize_t n = recv(c->fd, buffer, BUFFER, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    if (c->state == OPENING) refused++;
    else dropped++;
    forget(c);
    return;
  }
  uint64_t now = now_ns();
  if (c->state == OPENING) {
    if (n < 12 || memcmp(buffer, "HTTP/1.1 200", 12) != 0) {
      fprintf(stderr, "refused: %.*s\n", (int)(n < 400 ? n : 400), buffer);
      refused++;
      forget(c);
      return;
    }
    is_open(c);
    if (c->state == STALLED) return;
  }
  run.reads++;
  run.bytes += n;
  int64_t before = run.deliveries;
  feed(c, buffer, (size_t)n, now);
  if (run.deliveries == before) return;
  double s = (double)now / 1e9;
  if (before == 0) run.first = s;
  run.last = s;
  *progress = (uint64_t)run.deliveries;
}

static const char *option(const char *line, const char *name) {
  static char value[1024];
  char wantedName[64];
  snprintf(wantedName, sizeof wantedName, " %s=", name);
  const char *at = strstr(line, wantedName);
  if (at == NULL) return "";
  snprintf(value, sizeof value, "%.*s", (int)strcspn(at + strlen(wantedName), " \n"), at + strlen(wantedName));
  return value;
}

static void command(const char *line) {
  if (strncmp(line, "open ", 5) == 0) {
    wanted = atoi(option(line, "clients"));
    keys = atoi(option(line, "keys"));
    stalled_each = atoi(option(line, "stalled"));
    needs_head = strcmp(option(line, "head"), "0") != 0;
    snprintf(path, sizeof path, "%s", option(line, "path"));
    snprintf(last_id, sizeof last_id, "%s", option(line, "id"));
    if (wanted > capacity) connections = realloc(connections, (size_t)(capacity = wanted) * sizeof *connections);
    memset(connections, 0, (size_t)capacity * sizeof *connections);
    opened = opening = 0;
    refused = dropped = 0;
    opening_since = now_s();
  } else if (strncmp(line, "run ", 4) == 0) {
    uint64_t *slowest = run.slowest;
    memset(&run, 0, sizeof run);
    memset(histogram, 0, sizeof histogram);
    run.messages = (uint32_t)atoi(option(line, "messages"));
    run.size = (uint32_t)atoi(option(line, "size"));
    run.timeout = atof(option(line, "timeout"));
    run.readers = atoi(option(line, "clients"));
    run.slowest = realloc(slowest, (run.messages + 1) * sizeof *slowest);
    memset(run.slowest, 0, (run.messages + 1) * sizeof *slowest);
    for (int i = 0; i < wanted; i++) connections[i].next = connections[i].skip = connections[i].carried = 0;
    *progress = 0;
    run.began = run.first = run.last = now_s();
    run.cpu = cpu_s();
    run.active = 1;
    printf("{\"ready\":true}\n");
    fflush(stdout);
  } else if (strncmp(line, "close", 5) == 0) {
    for (int i = 0; i < wanted; i++) forget(&connections[i]);
    wanted = 0;
    printf("{\"closed\":true}\n");
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  port = atoi(argv[1]);
  int file = open(argv[2], O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, 4096) < 0) return 2;
  progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  for (int i = 0; i < 10; i++) digits['0' + i] = (int8_t)i;
  for (int i = 0; i < 6; i++) digits['a' + i] = (int8_t)(10 + i);

  epoll_fd = epoll_create1(0);
  struct epoll_event events[EVENTS], input = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input);
  char text[4096];
  size_t held = 0;
  for (;;) {
    while (opening_since != 0 && opening < CONNECTING && opened + opening + refused < wanted)
      open_one(opened + opening + (int)refused);
    say_open();
    int n = epoll_wait(epoll_fd, events, EVENTS, run.active ? 20 : 1000);
    for (int e = 0; e < n; e++) {
      uint32_t i = events[e].data.u32;
      if (i == UINT32_MAX) {
        ssize_t got = read(0, text + held, sizeof text - held - 1);
        // Whoever started it is gone.
        if (got <= 0) return 0;
        held += (size_t)got;
        text[held] = 0;
        for (char *line; (line = strchr(text, '\n')) != NULL;) {
          *line = 0;
          command(text);
          held -= (size_t)(line + 1 - text);
          memmove(text, line + 1, held + 1);
        }
        continue;
      }
      Connection *c = &connections[i];
      if (c->state == CLOSED || c->state == STALLED) continue;
      if (c->state == OPENING && (events[e].events & EPOLLOUT)) send_request(c);
      else receive(c);
    }
    if (!run.active) continue;
    double now = now_s(), since = run.deliveries > 0 ? run.last : run.began;
    if (run.complete >= run.readers || (opening_since == 0 && now - since > run.timeout)) {
      say_open();
      report();
    }
  }
}
