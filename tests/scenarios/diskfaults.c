/* Makes a disk fail for one process: preload it, name a file in DISK_FAULTS_MODE and part of a path in DISK_FAULTS_ON.
 * The file's first word says what happens to whoever writes to such a path from now on:
 *   ENOSPC  half of what is written arrives, then there is no space
 *   EIO     nothing can be written or flushed
 *   EROFS   nothing can be written, made longer or shorter
 *   SLOW    every flush takes 0.2 s
 * Any other word, or none, leaves the disk as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum mode { NONE, ENOSPC_, EIO_, EROFS_, SLOW };

static enum mode mode_now(void) {
  const char *path = getenv("DISK_FAULTS_MODE");
  char text[16] = {0};
  if (path == NULL) return NONE;
  int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NONE;
  ssize_t got = syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  if (got <= 0) return NONE;
  if (strncmp(text, "ENOSPC", 6) == 0) return ENOSPC_;
  if (strncmp(text, "EIO", 3) == 0) return EIO_;
  if (strncmp(text, "EROFS", 5) == 0) return EROFS_;
  if (strncmp(text, "SLOW", 4) == 0) return SLOW;
  return NONE;
}

static enum mode mode_of(int fd) {
  char link[32], path[4096];
  const char *on = getenv("DISK_FAULTS_ON");
  int saved = errno;
  enum mode mode = on == NULL ? NONE : mode_now();
  if (mode != NONE) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    if (strstr(path, on) == NULL) mode = NONE;
  }
  errno = saved;
  return mode;
}

/* Returns how much may be written, or -1 with errno set. */
static ssize_t room(int fd, size_t count) {
  switch (mode_of(fd)) {
    case ENOSPC_: if (count > 1) return count / 2; errno = ENOSPC; return -1;
    case EIO_: errno = EIO; return -1;
    case EROFS_: errno = EROFS; return -1;
    default: return count;
  }
}

static int may_flush(int fd) {
  enum mode mode = mode_of(fd);
  if (mode == SLOW) nanosleep(&(struct timespec){0, 200000000}, NULL);
  if (mode == EIO_) { errno = EIO; return -1; }
  return 0;
}

static int may_resize(int fd) {
  enum mode mode = mode_of(fd);
  if (mode == EIO_ || mode == EROFS_) { errno = mode == EIO_ ? EIO : EROFS; return -1; }
  return 0;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t count) {
  REAL(write);
  ssize_t some = room(fd, count);
  return some < 0 ? -1 : real(fd, data, some);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t at) {
  REAL(pwrite);
  ssize_t some = room(fd, count);
  return some < 0 ? -1 : real(fd, data, some, at);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t at) {
  REAL(pwrite64);
  ssize_t some = room(fd, count);
  return some < 0 ? -1 : real(fd, data, some, at);
}

/* Of what is written from several places, half of the first one arrives. */
static ssize_t scattered(int fd, const struct iovec *parts, int count, off64_t at, int flags) {
  size_t size = 0;
  for (int part = 0; part < count; part++) size += parts[part].iov_len;
  ssize_t some = room(fd, size);
  if (some < 0) return -1;
  if ((size_t)some < size) return syscall(SYS_pwrite64, fd, parts[0].iov_base, parts[0].iov_len / 2, at);
  return syscall(SYS_pwritev2, fd, parts, (long)count, (long)at, 0L, flags);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return scattered(fd, parts, count, at, 0); }

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return scattered(fd, parts, count, at, 0); }

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
  return scattered(fd, parts, count, at, flags);
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags) {
  return scattered(fd, parts, count, at, flags);
}

int fsync(int fd) {
  REAL(fsync);
  return may_flush(fd) < 0 ? -1 : real(fd);
}

int fdatasync(int fd) {
  REAL(fdatasync);
  return may_flush(fd) < 0 ? -1 : real(fd);
}

int ftruncate(int fd, off_t length) {
  REAL(ftruncate);
  return may_resize(fd) < 0 ? -1 : real(fd, length);
}

int ftruncate64(int fd, off64_t length) {
  REAL(ftruncate64);
  return may_resize(fd) < 0 ? -1 : real(fd, length);
}
