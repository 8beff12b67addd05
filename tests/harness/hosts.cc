// hosts: see hosts.h.
#include "tests/harness/hosts.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace tutti::test {
namespace {

bool run(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

// Until the wire is there; it comes up a moment after both its ends.
bool wait_for_carrier(const std::string& name) {
  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  bool running = false;
  for (int looks = 0; looks < 5000 && !running; ++looks) {
    running = ioctl(any, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_RUNNING);
    if (!running) usleep(1000);
  }
  close(any);
  return running;
}

// Runs `body` in a thread in that namespace; the process itself stays where it is, and so do its other threads.
template <typename Body>
bool within(int netns, Body body) {
  bool done = false;
  std::thread([&] { done = setns(netns, CLONE_NEWNET) == 0 && body(); }).join();
  return done;
}

}  // namespace

std::unique_ptr<Hosts> Hosts::make(int wires, std::string& why_not) {
  if (geteuid() != 0) {
    why_not = "network namespaces need root";
    return nullptr;
  }
  if (!run("ip -V")) {
    why_not = "there is no `ip` (package iproute2)";
    return nullptr;
  }
  std::unique_ptr<Hosts> hosts(new Hosts);
  for (int& netns : hosts->namespaces_) {
    std::thread([&] {
      if (unshare(CLONE_NEWNET) == 0 && run("ip link set lo up")) netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    }).join();
    if (netns >= 0) continue;
    why_not = "this machine makes no network namespace";
    return nullptr;
  }
  // The other end is made in the namespace of a process, which has to live until then.
  int ready[2], end[2];
  if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(end, O_CLOEXEC) != 0) return nullptr;
  const pid_t other = fork();
  if (other == 0) {
    char byte = setns(hosts->namespaces_[1], CLONE_NEWNET) == 0;
    (void)!write(ready[1], &byte, 1);
    close(end[1]);
    (void)!read(end[0], &byte, 1);
    _exit(0);
  }
  char entered = 0;
  (void)!read(ready[0], &entered, 1);
  bool made = entered;
  for (int wire = 0; wire < wires; ++wire) {
    const std::string name = "eth" + std::to_string(wire), network = "10.0." + std::to_string(wire) + ".";
    const auto up = [&](const char* host) {
      return run("ip addr add " + network + host + "/24 dev " + name) && run("ip link set " + name + " up");
    };
    made = made && within(hosts->namespaces_[0], [&] {
      return run("ip link add " + name + " type veth peer name " + name + " netns " + std::to_string(other)) && up("1");
    });
    made = made && within(hosts->namespaces_[1], [&] { return up("2") && wait_for_carrier(name); });
  }
  for (const int fd : {ready[0], ready[1], end[0], end[1]}) close(fd);
  waitpid(other, nullptr, 0);
  if (!made) {
    why_not = "this machine joins no network namespaces by veth";
    return nullptr;
  }
  // In a chroot whose root is no mount point, nobody enters.
  const pid_t trial = fork();
  if (trial == 0) _exit(hosts->enter(0) ? 0 : 1);
  int refused = 1;
  waitpid(trial, &refused, 0);
  if (refused == 0) return hosts;
  why_not = "a process may not mount a /sys of its own here";
  return nullptr;
}

Hosts::~Hosts() {
  for (const int netns : namespaces_)
    if (netns >= 0) close(netns);
}

// With a /sys of its own, which shows the interfaces of the namespace in which it was mounted.
bool Hosts::enter(int host) const {
  return setns(namespaces_[host], CLONE_NEWNET) == 0 && unshare(CLONE_NEWNS) == 0 &&
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 && mount("sysfs", "/sys", "sysfs", 0, nullptr) == 0;
}

bool Hosts::cut(bool away) const {
  const auto carries = [] { return wait_for_carrier("eth0") && run("ip neigh flush dev eth0"); };  // forgets who was not found
  if (away) return within(namespaces_[0], [] { return run("ip link set eth0 down"); });
  return within(namespaces_[0], [&] { return run("ip link set eth0 up") && carries(); }) && within(namespaces_[1], carries);
}

bool Hosts::limit(const char* rate) const {
  return within(namespaces_[0], [&] {
    return rate ? run(std::string("tc qdisc add dev eth0 root tbf burst 16kb latency 1s rate ") + rate) : run("tc qdisc del dev eth0 root");
  });
}

}  // namespace tutti::test
