/* Preloaded into a program, makes every sync of a file take SYNC_DELAY_US microseconds longer: a disk without a cache that is safe. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_longer(void) {
  const char *text = getenv("SYNC_DELAY_US");
  long us = text ? atol(text) : 0;
  struct timespec time = {us / 1000000, (us % 1000000) * 1000};
  nanosleep(&time, NULL);
}

int fsync(int descriptor) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_longer();
  return real(descriptor);
}

int fdatasync(int descriptor) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_longer();
  return real(descriptor);
}
