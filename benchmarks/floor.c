/* The floor: what the operating system takes for a raw version, with nothing around it.
 *
 * One epoll loop that makes the system calls which the scanner makes for one connection, and no other: socket, connect,
 * epoll_ctl, getsockopt, send of the hello, epoll_ctl, recv, send of close_notify, close.
 *
 *     floor FIRST_ADDRESS COUNT PORT IN_FLIGHT HELLO_FILE
 *
 * connects to so many addresses from the first on, and prints one JSON object.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, RECEIVE_BYTES = 16384, HANDSHAKE = 0x16, SERVER_HELLO = 2, MAX_HELLO_BYTES = 4096 };

static const unsigned char CLOSE_NOTIFY[] = {0x15, 3, 3, 0, 2, 1, 0};
static unsigned char hello[MAX_HELLO_BYTES], answer[RECEIVE_BYTES];
static size_t hello_bytes;
static int poll_fd;
static long failed;

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void wait_for(int operation, int fd, uint32_t events, int connected) {
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.u64 = (uint64_t)fd << 1 | (unsigned)connected};
    if (epoll_ctl(poll_fd, operation, fd, &event) != 0) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void start(uint32_t address, uint16_t port) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        perror("socket");
        exit(1);
    }
    if (connect(fd, (struct sockaddr *)&peer, sizeof peer) != 0 && errno != EINPROGRESS) {
        perror("connect");
        exit(1);
    }
    wait_for(EPOLL_CTL_ADD, fd, EPOLLOUT, 0);
}

static int is_connected(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

/* Is the connection over? */
static int go_on(int fd, int connected) {
    if (!connected) {
        if (is_connected(fd) && send(fd, hello, hello_bytes, MSG_NOSIGNAL) == (ssize_t)hello_bytes) {
            wait_for(EPOLL_CTL_MOD, fd, EPOLLIN, 1);
            return 0;
        }
        failed++;
    } else {
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        if (got > 5 && answer[0] == HANDSHAKE && answer[5] == SERVER_HELLO)
            send(fd, CLOSE_NOTIFY, sizeof CLOSE_NOTIFY, MSG_NOSIGNAL);
        else
            failed++;
    }
    close(fd);
    return 1;
}

static void run(uint32_t first, long count, uint16_t port, long in_flight) {
    struct epoll_event events[EVENTS];
    long started = 0, over = 0;
    while (over < count) {
        for (; started < count && started - over < in_flight; started++)
            start(first + (uint32_t)started, port);
        int ready = epoll_wait(poll_fd, events, EVENTS, -1);
        for (int i = 0; i < ready; i++)
            over += go_on((int)(events[i].data.u64 >> 1), (int)(events[i].data.u64 & 1));
    }
}

int main(int argc, char **argv) {
    FILE *file = argc == 6 ? fopen(argv[5], "rb") : NULL;
    if (file == NULL) {
        fputs("floor FIRST_ADDRESS COUNT PORT IN_FLIGHT HELLO_FILE\n", stderr);
        return 2;
    }
    hello_bytes = fread(hello, 1, sizeof hello, file);
    fclose(file);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    double begun = now();
    run(ntohl(inet_addr(argv[1])), atol(argv[2]), (uint16_t)atoi(argv[3]), atol(argv[4]));
    double wall_s = now() - begun;
    getrusage(RUSAGE_SELF, &after);
    printf("{\"user_s\": %.6f, \"system_s\": %.6f, \"wall_s\": %.6f, \"failed\": %ld}\n",
           seconds(after.ru_utime) - seconds(before.ru_utime), seconds(after.ru_stime) - seconds(before.ru_stime),
           wall_s, failed);
    return 0;
}
