// holdings: the resources that a process holds. A test compares them before and after the life of a communicator.
#pragma once
#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <string>

#include "lib/base/clock.h"
#include "tests/harness/ranks.h"

namespace tutti::test {

// What a process holds. Not counted: the descriptors 0, 1 and 2. Over UCX the library occupies them where the program has closed them.
struct Holdings {
  int descriptors = 0, threads = 0, arenas = 0;

  static Holdings now() {
    Holdings holdings;
    void* memory = nullptr;  // creates the heap: a process keeps it
    if (tuttiMemAlloc(&memory, 1) != tuttiSuccess || tuttiMemFree(memory) != tuttiSuccess) throw Failure{"no memory"};
    holdings.descriptors = entries("/proc/self/fd", [](int number, int own) { return number > 2 && number != own; });
    holdings.threads = entries("/proc/self/task", [](int, int) { return true; });
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) holdings.arenas += line.find("memfd:tutti") != std::string::npos;
    return holdings;
  }
  std::string text() const {
    return std::to_string(descriptors) + " descriptors, " + std::to_string(threads) + " threads, " + std::to_string(arenas) +
           " arenas";
  }
  // False in a process that has become undumpable.
  bool readable() const { return descriptors >= 0 && threads >= 0; }
  bool within(const Holdings& other) const {
    return descriptors <= other.descriptors && threads <= other.threads && arenas <= other.arenas;
  }
  // Throws unless this process soon holds no more than this. A failed rendezvous stays for ten seconds, to tell late ranks why it failed.
  void expect_again(double seconds = 12) const {
    const Deadline deadline = Deadline::after_s(seconds);
    while (!now().within(*this)) {
      if (deadline.passed()) throw Failure{"left behind: " + now().text() + "; before: " + text()};
      usleep(1000);
    }
  }

 private:
  // How many of the numbers in the directory count; -1: it cannot be read. counts(number, the descriptor of the directory).
  static int entries(const char* directory, bool (*counts)(int, int)) {
    int count = 0;
    DIR* const open = opendir(directory);
    if (!open) return -1;
    while (const dirent* entry = readdir(open)) count += entry->d_name[0] != '.' && counts(std::atoi(entry->d_name), dirfd(open));
    closedir(open);
    return count;
  }
};

// The files of the library's in folders where it could leave some behind.
inline std::set<std::string> files_left() {
  std::set<std::string> names;
  for (const char* directory : {"/dev/shm", "/tmp", "/var/tmp"}) {
    DIR* const open = opendir(directory);
    if (!open) continue;
    while (const dirent* entry = readdir(open))
      if (std::strstr(entry->d_name, "tutti-arena") || std::strstr(entry->d_name, "tutti_arena") ||
          std::strncmp(entry->d_name, "tutti.", 6) == 0)
        names.insert(std::string(directory) + "/" + entry->d_name);
    closedir(open);
  }
  return names;
}

}  // namespace tutti::test
