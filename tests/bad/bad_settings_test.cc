// bad_settings: TUTTI_* values that cannot be read, or that name what does not exist: an error that quotes them, before
// anything has been started.
#include <dirent.h>

#include "lib/base/status.h"
#include "tests/bad/refused.h"
#include "tests/harness/temporary.h"

using namespace tutti::test;
using tutti::concat;

namespace {

int entries_of(const char* directory) {
  int count = 0;
  DIR* const open = opendir(directory);
  REQUIRE(open);
  while (readdir(open)) ++count;
  closedir(open);
  return count;
}

// Every way into the library says the same, and leaves no thread and no socket behind.
void check_refused(const char* name, const char* value, std::initializer_list<const char*> words) {
  INFO(name << "=" << value);
  const int threads = entries_of("/proc/self/task"), descriptors = entries_of("/proc/self/fd");
  {
    const Environment environment(name, value);
    tuttiComm_t comms[2] = {nullptr, nullptr};
    CHECK(tuttiCommInitAll(comms, 2, nullptr) == tuttiInvalidArgument);
    check_refusal("tuttiCommInitAll", words);
    CHECK(comms[0] == nullptr);
    CHECK(comms[1] == nullptr);
    CHECK(tuttiCommInitAll(comms, 1, nullptr) == tuttiInvalidArgument);
    check_refusal("tuttiCommInitAll", words);
    CHECK(comms[0] == nullptr);
    tuttiUniqueId id{};
    CHECK(tuttiGetUniqueId(&id) == tuttiInvalidArgument);
    check_refusal("tuttiGetUniqueId", words);
    CHECK(tuttiCommInitRank(&comms[0], 2, id, 0) == tuttiInvalidArgument);
    check_refusal("tuttiCommInitRank", words);
    CHECK(comms[0] == nullptr);
  }
  CHECK(entries_of("/proc/self/task") <= threads);  // one of an earlier case may have come to its end
  CHECK(entries_of("/proc/self/fd") == descriptors);
}

}  // namespace

TEST_CASE("settings that cannot be read are refused by name", "[bad]") {
  for (const char* name : {"TUTTI_TIMEOUT", "TUTTI_INIT_TIMEOUT"})
    for (const char* value : {"abc", "0", "-1", "1x", "nan", "inf", "1e999"}) check_refused(name, value, {name, value});
  for (const char* value : {"abc", "-4K", "4Q", "1e30", "1e18G", "4KiBs"})
    check_refused("TUTTI_TILE", value, {"TUTTI_TILE", value});
  check_refused("TUTTI_CACHE", "1e18G", {"TUTTI_CACHE", "1e18G", "at most 1e18 bytes"});
  for (const char* name : {"TUTTI_TILES_IN_FLIGHT", "TUTTI_SPIN_US"})
    for (const char* value : {"many", "-1", "3 4", "3.5"}) check_refused(name, value, {name, value});
  check_refused("TUTTI_DEBUG", "LOUD", {"TUTTI_DEBUG", "LOUD"});
}

TEST_CASE("an empty setting counts as not set, and blanks around a value do not count", "[bad]") {
  for (const auto& [name, value] : {std::pair("TUTTI_TIMEOUT", ""), std::pair("TUTTI_INIT_TIMEOUT", " "), std::pair("TUTTI_TILE", ""),
                                    std::pair("TUTTI_COMM_ID", " "), std::pair("TUTTI_TOPO", "\t"), std::pair("TUTTI_TIMEOUT", " 7 "),
                                    std::pair("TUTTI_TRANSPORTS", "SHM , ucx"), std::pair("TUTTI_ALGO", "allreduce: Ring, tree")}) {
    INFO(name << "='" << value << "'");
    const Environment environment(name, value);
    WorkingPair pair;
    pair.check_works();
  }
}

TEST_CASE("settings that name what does not exist are refused by name", "[bad]") {
  check_refused("TUTTI_TRANSPORTS", "nope", {"TUTTI_TRANSPORTS='nope' (environment): ", "known: shm"});
  check_refused("TUTTI_TRANSPORTS", "shm,nope", {"TUTTI_TRANSPORTS", "nope", "shm"});
  for (const char* value : {"x", "0", "1-", "-1", "2-1", "1-65536", "1-2-3", "any"}) check_refused("TUTTI_PORTS", value, {"TUTTI_PORTS", value});
  check_refused("TUTTI_ALGO", "nope", {"TUTTI_ALGO", "nope", "ring"});
  check_refused("TUTTI_ALGO", "allreduce:nope", {"TUTTI_ALGO", "nope", "ring"});
  check_refused("TUTTI_ALGO", "nope:ring", {"TUTTI_ALGO='nope:ring' (environment): ", "known: allreduce, "});
  for (const char* value : {"x", "delay", "delay=", "delay=100", "delay=-1", "break=x", "seed=1,y=2"})
    check_refused("TUTTI_FAULT", value, {"TUTTI_FAULT='", value, "seed=N"});
}

TEST_CASE("TUTTI_TOPO for another number of ranks is refused, except in communicators made by CommSplit", "[bad]") {
  tuttiComm_t comms[3] = {nullptr, nullptr, nullptr};
  {
    const Environment environment("TUTTI_TOPO", "host:2 core:2");
    for (int ranks : {1, 3})
      REFUSED(tuttiCommInitAll(comms, ranks, nullptr), "TUTTI_TOPO='host:2 core:2' (environment): describes 4 ranks",
              concat("communicator has ", ranks).c_str());
    for (tuttiComm_t comm : comms) CHECK(comm == nullptr);
  }
  const Environment environment("TUTTI_TOPO", "host:3");
  REQUIRE(tuttiCommInitAll(comms, 3, nullptr) == tuttiSuccess);
  tuttiComm_t children[3] = {nullptr, nullptr, nullptr}, grandchildren[2] = {nullptr, nullptr};
  REQUIRE(tuttiGroupStart() == tuttiSuccess);
  for (int rank = 0; rank < 3; ++rank) CHECK(tuttiCommSplit(comms[rank], rank / 2, 0, &children[rank], nullptr) == tuttiSuccess);
  CHECK(tuttiGroupEnd() == tuttiSuccess);
  REQUIRE(tuttiGroupStart() == tuttiSuccess);
  for (int rank = 0; rank < 2; ++rank) CHECK(tuttiCommSplit(children[rank], rank, 0, &grandchildren[rank], nullptr) == tuttiSuccess);
  CHECK(tuttiGroupEnd() == tuttiSuccess);
  for (tuttiComm_t comm : grandchildren) CHECK(tuttiCommDestroy(comm) == tuttiSuccess);
  for (tuttiComm_t comm : children) CHECK(tuttiCommDestroy(comm) == tuttiSuccess);
  for (tuttiComm_t comm : comms) CHECK(tuttiCommDestroy(comm) == tuttiSuccess);
}

TEST_CASE("a rendezvous that cannot be is refused by name", "[bad]") {
  for (const char* value : {"garbage", ":", "host:", ":1234", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:12x", "[::1:5",
                            "127.0.0.1:1234#", "no.such.host.invalid:1234"}) {
    INFO(value);
    const Environment environment("TUTTI_COMM_ID", value);
    tuttiUniqueId id{};
    REFUSED(tuttiGetUniqueId(&id), "TUTTI_COMM_ID");
  }
  const Environment environment("TUTTI_SOCKET_IFNAME", "=nosuch0");
  tuttiUniqueId id{};
  REFUSED(tuttiGetUniqueId(&id), "TUTTI_SOCKET_IFNAME", "nosuch0");
}

TEST_CASE("a file of settings is refused by file, line and name", "[bad]") {
  TemporaryFile file;
  const char* const path = file.path();
  const Environment environment("TUTTI_CONF_FILE", path);
  const auto refused = [&](const char* text, std::initializer_list<const char*> words) {
    file.write(text);
    tuttiComm_t comm = nullptr;
    INFO(text);
    CHECK(tuttiCommInitAll(&comm, 1, nullptr) == tuttiInvalidArgument);
    check_refusal("tuttiCommInitAll", words);
  };
  refused("# fine\nTUTTI_TIMEOUT = abc\n", {path, ":2", "TUTTI_TIMEOUT", "abc"});
  refused("TUTTI_TIMEOUTS=3\n", {path, ":1", "TUTTI_TIMEOUTS", "nearest: TUTTI_TIMEOUT"});
  refused("TUTTI_TIMEOUT\n", {path, ":1", "NAME=value"});
  refused("TUTTI_COMM_ID host:1#secret\n", {path, ":1", "NAME=value", "host:1#(hidden)"});
  file.remove();
  tuttiComm_t comm = nullptr;
  REFUSED(tuttiCommInitAll(&comm, 1, nullptr), "TUTTI_CONF_FILE", path, "No such file");
}
