// child: what a forked child sees, for unit tests.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

namespace tutti::test {

// What `body` returns, run in a forked child. False as well if the child dies.
template <typename Body>
bool in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace tutti::test
