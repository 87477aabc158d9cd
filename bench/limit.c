// What a C server reaches: `limit 1` sends each message to each client, `limit joined` sends what one turn publishes to
// each client with one send(). No keys, no history, no pings, and a client that does not read stops it.
//
// GET /publish?count=…&size=…&burst=…&ahead=… on its control port publishes, as servers/control.js does.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int clients[65536], count, is_joined;
static char requests[65536], frames[1 << 22];
static volatile uint64_t *progress;

static int listen_on(int *port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&at, length) < 0 || listen(fd, 4096) < 0) exit(1);
  getsockname(fd, (struct sockaddr *)&at, &length);
  *port = ntohs(at.sin_port);
  return fd;
}

static void send_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) return;
    if (n < 0) {
      struct pollfd full = {.fd = fd, .events = POLLOUT};
      poll(&full, 1, 1000);
      continue;
    }
    bytes += n;
    length -= (size_t)n;
  }
}

// One chunk of HTTP/1.1 with one message in it.
static size_t write_frame(char *to, uint32_t number, size_t size) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  char *p = to + sprintf(to, "%zx\r\ndata: @@%08x%016llx", size + 8, number, (unsigned long long)t.tv_sec * 1000000000ull + (unsigned long long)t.tv_nsec);
  memset(p, 'x', size - 27);
  return (size_t)(p + size - 27 - to) + (size_t)sprintf(p + size - 27, "$\n\n\r\n");
}

static void publish(const char *query) {
  unsigned messages = 0, size = 0, burst = 1, ahead = 1;
  sscanf(query, "GET /publish?count=%u&size=%u&burst=%u&ahead=%u", &messages, &size, &burst, &ahead);
  for (unsigned number = 0; number < messages;) {
    size_t length = 0;
    for (unsigned b = 0; b < burst && number < messages; b++) {
      length += write_frame(frames + length, number++, size);
      if (is_joined && b + 1 < burst && number < messages) continue;
      for (int i = 0; i < count; i++) send_all(clients[i], frames, length);
      length = 0;
    }
    while (number - *progress / (uint64_t)count + burst > ahead && number < messages) usleep(200);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  is_joined = strcmp(argv[1], "joined") == 0;
  int file = open(argv[2], O_RDWR | O_CREAT, 0600), port, control_port, n;
  if (file < 0 || ftruncate(file, 4096) < 0) return 2;
  progress = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
  int server = listen_on(&port), control = listen_on(&control_port), epoll_fd = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN}, events[256];
  for (int i = 0; i < 3; i++) {
    event.data.fd = i == 0 ? server : i == 1 ? control : 0;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event);
  }
  printf("{\"port\":%d,\"control\":%d,\"pid\":%d}\n", port, control_port, getpid());
  fflush(stdout);
  while ((n = epoll_wait(epoll_fd, events, 256, -1)) > 0) {
    for (int e = 0; e < n; e++) {
      int fd = events[e].data.fd;
      if (fd == control) {
        int peer = accept(control, NULL, NULL);
        ssize_t got = recv(peer, requests, sizeof requests - 1, 0);
        requests[got > 0 ? got : 0] = 0;
        if (strncmp(requests, "GET /publish?", 13) == 0) publish(requests);
        int length = sprintf(requests, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%5d", 5, count);
        send_all(peer, requests, (size_t)length);
        close(peer);
      } else if (fd == 0) {
        // Whoever started it is gone.
        if (read(0, requests, sizeof requests) <= 0) return 0;
      } else if (fd == server) {
        int one = 1;
        event.data.fd = accept(server, NULL, NULL);
        // As Node and nginx do: no message waits for the client's acknowledgement of another one.
        setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event);
      } else {
        ssize_t got = recv(fd, requests, sizeof requests, MSG_DONTWAIT);
        if (got < 0) continue;
        int at = 0;
        while (at < count && clients[at] != fd) at++;
        if (got == 0) {
          if (at < count) clients[at] = clients[--count];
          close(fd);
        } else if (at == count && count < 65536) {
          clients[count++] = fd;
          static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
          send_all(fd, head, sizeof head - 1);
        }
      }
    }
  }
  return 0;
}
