// bad_arguments: the calls that move no data (communicators, groups, streams, memory, ops), with every argument wrong in
// turn. The collectives have a file of their own.
#include <dirent.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <fstream>

#include "lib/base/clock.h"

#include "tests/bad/refused.h"

using namespace tutti::test;

namespace {

tuttiUniqueId fresh_id() {
  tuttiUniqueId id;
  REQUIRE(tuttiGetUniqueId(&id) == tuttiSuccess);
  return id;
}

// A handle that once was a communicator.
tuttiComm_t destroyed_comm() {
  tuttiComm_t comm = nullptr;
  REQUIRE(tuttiCommInitAll(&comm, 1, nullptr) == tuttiSuccess);
  REQUIRE(tuttiCommDestroy(comm) == tuttiSuccess);
  return comm;
}

// Threads of this process in which a rendezvous waits for ranks.
int meeting_places() {
  int count = 0;
  DIR* const tasks = opendir("/proc/self/task");
  while (const dirent* task = readdir(tasks)) {
    std::string name;
    std::getline(std::ifstream("/proc/self/task/" + std::string(task->d_name) + "/comm"), name);
    count += name == "tutti-meet";
  }
  closedir(tasks);
  return count;
}

tuttiComm_t const kPoison = reinterpret_cast<tuttiComm_t>(0x55);

}  // namespace

TEST_CASE("version, errors and ids refuse NULL and know every code", "[bad]") {
  REFUSED(tuttiGetVersion(nullptr), "tuttiGetVersion", "version is NULL");
  REFUSED(tuttiGetUniqueId(nullptr), "tuttiGetUniqueId", "uniqueId is NULL");
  for (int code = 0; code < tuttiNumResults; ++code) {
    const std::string text = tuttiGetErrorString(static_cast<tuttiResult_t>(code));
    CHECK(text.size() > 4);
    CHECK(text != "unknown result code");
  }
  for (int code : {-1, int{tuttiNumResults}, INT_MAX, INT_MIN})
    CHECK(tuttiGetErrorString(static_cast<tuttiResult_t>(code)) == std::string("unknown result code"));
  for (tuttiComm_t comm : not_handles<tuttiComm_t>()) REQUIRE(tuttiGetLastError(comm) != nullptr);
  CHECK_THAT(tuttiGetLastError(destroyed_comm()), Catch::Contains("not a communicator"));
}

TEST_CASE("init refuses ranks, counts, ids and settings that cannot be", "[bad]") {
  const tuttiUniqueId id{};  // looked at last, and then refused as well
  tuttiComm_t comm = kPoison;
  REFUSED(tuttiCommInitRank(nullptr, 2, id, 0), "tuttiCommInitRank", "comm is NULL");
  REFUSED(tuttiCommInitRankConfig(nullptr, 2, id, 0, nullptr), "tuttiCommInitRankConfig", "comm is NULL");
  for (int nranks : {0, -1, INT_MIN, 1025, INT_MAX}) {
    comm = kPoison;
    REFUSED(tuttiCommInitRank(&comm, nranks, id, 0), "tuttiCommInitRank", "nranks", std::to_string(nranks).c_str());
    CHECK(comm == nullptr);
  }
  for (int rank : {-1, 2, INT_MAX, INT_MIN}) {
    comm = kPoison;
    REFUSED(tuttiCommInitRank(&comm, 2, id, rank), "tuttiCommInitRank", "rank is", std::to_string(rank).c_str());
    CHECK(comm == nullptr);
  }
  for (int nranks : {1, 2}) {
    comm = kPoison;
    REFUSED(tuttiCommInitRank(&comm, nranks, id, 0), "unique id", "damaged");
    REQUIRE(tuttiGroupStart() == tuttiSuccess);
    REFUSED(tuttiCommInitRank(&comm, nranks, id, 0), "unique id", "damaged");
    REFUSED(tuttiGroupEnd(), "tuttiCommInitRank", "unique id", "damaged");
    CHECK(comm == nullptr);
  }

  const auto refused = [&](tuttiConfig_t config, const char* what) {
    comm = kPoison;
    REFUSED(tuttiCommInitRankConfig(&comm, 2, id, 0, &config), "tuttiCommInitRankConfig", what);
    CHECK(comm == nullptr);
  };
  const tuttiConfig_t good = TUTTI_CONFIG_INITIALIZER;
  tuttiConfig_t config = good;
  config.magic ^= 1;
  refused(config, "TUTTI_CONFIG_INITIALIZER");
  for (size_t size : {size_t{0}, size_t{1}, offsetof(tuttiConfig_t, blocking) - 1}) {
    config = good;
    config.size = size;
    refused(config, "TUTTI_CONFIG_INITIALIZER");
  }
  std::memset(&config, 0, sizeof config);
  refused(config, "TUTTI_CONFIG_INITIALIZER");
  for (int blocking : {2, -1, INT_MAX}) {
    config = good;
    config.blocking = blocking;
    refused(config, "config->blocking");
  }
  for (int timeout : {0, -1, INT_MIN + 1}) {
    config = good;
    config.timeoutMs = timeout;
    refused(config, "config->timeoutMs");
  }
}

TEST_CASE("a unique id with one bit flipped is refused at once", "[bad]") {
  const tuttiUniqueId id = fresh_id();
  for (int bit = 0; bit < TUTTI_UNIQUE_ID_BYTES * 8; ++bit) {
    tuttiUniqueId damaged = id;
    damaged.internal[bit / 8] = static_cast<char>(damaged.internal[bit / 8] ^ 1 << bit % 8);
    tuttiComm_t comm = kPoison;
    INFO("bit " << bit);
    REQUIRE(tuttiCommInitRank(&comm, 2, damaged, 1) == tuttiInvalidArgument);
    CHECK(comm == nullptr);
    check_sentence({"unique id"});
  }
  tuttiComm_t comm = nullptr;
  REQUIRE(tuttiCommInitRank(&comm, 1, id, 0) == tuttiSuccess);  // the whole one is still good
  CHECK(tuttiCommDestroy(comm) == tuttiSuccess);
}

TEST_CASE("InitAll refuses counts and devices that cannot be", "[bad]") {
  tuttiComm_t comms[2] = {kPoison, kPoison};
  REFUSED(tuttiCommInitAll(nullptr, 2, nullptr), "tuttiCommInitAll", "comms is NULL");
  for (int ndev : {0, -1, INT_MIN, INT_MAX, 1025})
    REFUSED(tuttiCommInitAll(comms, ndev, nullptr), "tuttiCommInitAll", "ndev", std::to_string(ndev).c_str());
  const int devices[] = {0, -3};
  REFUSED(tuttiCommInitAll(comms, 2, devices), "tuttiCommInitAll", "devlist[1]", "-3");
  CHECK(comms[0] == kPoison);
  CHECK(comms[1] == kPoison);
}

TEST_CASE("questions about a communicator refuse what is none, and NULL", "[bad]") {
  WorkingPair pair;
  int number = -5;
  tuttiResult_t state = tuttiNumResults;
  std::vector<tuttiComm_t> wrong = not_handles<tuttiComm_t>();
  wrong.push_back(destroyed_comm());
  for (tuttiComm_t comm : wrong) {
    tuttiComm_t child = kPoison;
    REFUSED(tuttiCommCount(comm, &number), "tuttiCommCount", "comm");
    REFUSED(tuttiCommUserRank(comm, &number), "tuttiCommUserRank", "comm");
    REFUSED(tuttiCommGetAsyncError(comm, &state), "tuttiCommGetAsyncError", "comm");
    REFUSED(tuttiCommFinalize(comm), "tuttiCommFinalize", "comm");
    REFUSED(tuttiCommDestroy(comm), "tuttiCommDestroy", "comm");
    REFUSED(tuttiCommAbort(comm), "tuttiCommAbort", "comm");
    REFUSED(tuttiCommRevoke(comm, 0), "tuttiCommRevoke", "comm");
    REFUSED(tuttiCommSplit(comm, 0, 0, &child, nullptr), "tuttiCommSplit", "comm");
    CHECK(child == nullptr);
  }
  CHECK(number == -5);
  CHECK(state == tuttiNumResults);
  for (int flags : {1, -1}) REFUSED(tuttiCommRevoke(pair.comms[0], flags), "tuttiCommRevoke", "revokeFlags is", std::to_string(flags).c_str());
  REFUSED(tuttiCommCount(pair.comms[0], nullptr), "tuttiCommCount", "count is NULL");
  REFUSED(tuttiCommUserRank(pair.comms[0], nullptr), "tuttiCommUserRank", "rank is NULL");
  REFUSED(tuttiCommGetAsyncError(pair.comms[0], nullptr), "tuttiCommGetAsyncError", "asyncError is NULL");
  pair.check_works();
}

TEST_CASE("Split refuses colors and settings that cannot be", "[bad]") {
  WorkingPair pair;
  tuttiComm_t child = kPoison;
  REFUSED(tuttiCommSplit(pair.comms[0], 0, 0, nullptr, nullptr), "tuttiCommSplit", "newcomm is NULL");
  for (int color : {-2, INT_MIN}) {
    child = kPoison;
    REFUSED(tuttiCommSplit(pair.comms[0], color, 0, &child, nullptr), "tuttiCommSplit", "color",
            std::to_string(color).c_str());
    CHECK(child == nullptr);
  }
  tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
  config.magic = 0;
  REFUSED(tuttiCommSplit(pair.comms[0], 0, 0, &child, &config), "tuttiCommSplit", "TUTTI_CONFIG_INITIALIZER");
  pair.check_works();
}

TEST_CASE("after Finalize only Destroy and Abort may follow", "[bad]") {
  tuttiComm_t comms[2];
  REQUIRE(tuttiCommInitAll(comms, 2, nullptr) == tuttiSuccess);
  for (tuttiComm_t comm : comms) CHECK(tuttiCommFinalize(comm) == tuttiSuccess);
  int value = 3, out = -7;
  tuttiComm_t child = kPoison;
  for (tuttiComm_t comm : comms) {
    ENDS_WITH(tuttiInvalidUsage, tuttiAllReduce(&value, &out, 1, tuttiInt, tuttiSum, comm, nullptr), "finalized");
    ENDS_WITH(tuttiInvalidUsage, tuttiBarrier(comm, nullptr), "finalized");
    ENDS_WITH(tuttiInvalidUsage, tuttiSend(&value, 1, tuttiInt, 0, comm, nullptr), "finalized");
    ENDS_WITH(tuttiInvalidUsage, tuttiCommSplit(comm, 0, 0, &child, nullptr), "finalized");
    ENDS_WITH(tuttiInvalidUsage, tuttiCommRevoke(comm, 0), "finalized");
    CHECK(child == nullptr);
    CHECK(tuttiCommFinalize(comm) == tuttiSuccess);  // twice does no harm
  }
  CHECK(out == -7);
  CHECK(tuttiCommDestroy(comms[0]) == tuttiSuccess);
  CHECK(tuttiCommAbort(comms[1]) == tuttiSuccess);
  CHECK(tuttiCommDestroy(comms[1]) == tuttiSuccess);  // the handle that the aborted call used: it can be destroyed once
  for (tuttiComm_t comm : comms) REFUSED(tuttiCommDestroy(comm), "tuttiCommDestroy", "comm");
}

TEST_CASE("groups: End wants Start, and an error stops communicators from being made", "[bad]") {
  ENDS_WITH(tuttiInvalidUsage, tuttiGroupEnd(), "tuttiGroupEnd without tuttiGroupStart");
  REQUIRE(tuttiGroupStart() == tuttiSuccess);
  REQUIRE(tuttiGroupStart() == tuttiSuccess);
  CHECK(tuttiGroupEnd() == tuttiSuccess);
  CHECK(tuttiGroupEnd() == tuttiSuccess);
  CHECK(tuttiGroupEnd() == tuttiInvalidUsage);

  // Rank 1 is wrong; rank 0 must not wait for it, nor come into being.
  const tuttiUniqueId id = fresh_id();
  tuttiComm_t comms[2] = {kPoison, kPoison};
  REQUIRE(tuttiGroupStart() == tuttiSuccess);
  CHECK(tuttiCommInitRank(&comms[0], 2, id, 0) == tuttiSuccess);
  CHECK(tuttiCommInitRank(&comms[1], 2, id, 9) == tuttiInvalidArgument);
  REFUSED(tuttiGroupEnd(), "tuttiCommInitRank", "rank is 9");
  CHECK(comms[0] == nullptr);
  CHECK(comms[1] == nullptr);
  REQUIRE(tuttiGroupStart() == tuttiSuccess);
  for (int rank = 0; rank < 2; ++rank) CHECK(tuttiCommInitRank(&comms[rank], 2, id, rank) == tuttiSuccess);
  REQUIRE(tuttiGroupEnd() == tuttiSuccess);
  for (tuttiComm_t comm : comms) CHECK(tuttiCommDestroy(comm) == tuttiSuccess);
}

TEST_CASE("InitAll in a group that fails leaves no rendezvous behind", "[bad]") {
  const tuttiUniqueId id = fresh_id();
  const int before = meeting_places();
  tuttiComm_t comms[3] = {kPoison, kPoison, kPoison}, wrong = kPoison;
  REQUIRE(tuttiGroupStart() == tuttiSuccess);
  CHECK(tuttiCommInitAll(comms, 3, nullptr) == tuttiSuccess);
  CHECK(meeting_places() == before + 1);
  CHECK(tuttiCommInitRank(&wrong, 2, id, 9) == tuttiInvalidArgument);
  REFUSED(tuttiGroupEnd(), "tuttiCommInitRank", "rank is 9");
  for (tuttiComm_t comm : comms) CHECK(comm == nullptr);
  // Long before TUTTI_INIT_TIMEOUT.
  const tutti::Deadline deadline = tutti::Deadline::after_s(5);
  while (meeting_places() > before && !deadline.passed()) usleep(1000);
  CHECK(meeting_places() == before);
}

TEST_CASE("streams refuse what is none, and NULL", "[bad]") {
  REFUSED(tuttiStreamCreate(nullptr), "tuttiStreamCreate", "stream is NULL");
  tuttiStream_t stream = nullptr;
  REQUIRE(tuttiStreamCreate(&stream) == tuttiSuccess);
  CHECK(tuttiStreamQuery(stream) == tuttiSuccess);
  CHECK(tuttiStreamSynchronize(stream) == tuttiSuccess);
  REQUIRE(tuttiStreamDestroy(stream) == tuttiSuccess);
  std::vector<tuttiStream_t> wrong = not_handles<tuttiStream_t>();
  wrong.push_back(stream);
  for (tuttiStream_t none : wrong) {
    REFUSED(tuttiStreamSynchronize(none), "tuttiStreamSynchronize", "stream is not a stream");
    REFUSED(tuttiStreamQuery(none), "tuttiStreamQuery", "stream is not a stream");
    REFUSED(tuttiStreamDestroy(none), "tuttiStreamDestroy", "stream is not a stream");
  }
  // A communicator is no stream, nor the other way round, whatever their bits say.
  WorkingPair pair;
  REQUIRE(tuttiStreamCreate(&stream) == tuttiSuccess);
  REFUSED(tuttiStreamQuery(reinterpret_cast<tuttiStream_t>(pair.comms[0])), "tuttiStreamQuery");
  REFUSED(tuttiBarrier(reinterpret_cast<tuttiComm_t>(stream), nullptr), "tuttiBarrier");
  REQUIRE(tuttiStreamDestroy(stream) == tuttiSuccess);
}

TEST_CASE("memory and registrations refuse what is not theirs", "[bad]") {
  REFUSED(tuttiMemAlloc(nullptr, 8), "tuttiMemAlloc", "ptr is NULL");
  void* memory = &memory;
  REFUSED(tuttiMemAlloc(&memory, 0), "tuttiMemAlloc", "size is 0");
  CHECK(memory == nullptr);
  memory = &memory;
  CHECK(tuttiMemAlloc(&memory, SIZE_MAX) != tuttiSuccess);
  check_sentence({"18446744073709551615"});
  CHECK(memory == nullptr);
  int local = 0;
  REFUSED(tuttiMemFree(&local), "tuttiMemFree", "not from tuttiMemAlloc");
  REQUIRE(tuttiMemAlloc(&memory, 10000) == tuttiSuccess);
  REFUSED(tuttiMemFree(static_cast<char*>(memory) + 1), "tuttiMemFree", "not from tuttiMemAlloc");
  CHECK(tuttiMemFree(memory) == tuttiSuccess);
  REFUSED(tuttiMemFree(memory), "tuttiMemFree", "freed before");

  WorkingPair pair;
  char buffer[64];
  void* handle = &local;
  for (tuttiComm_t comm : not_handles<tuttiComm_t>()) {
    REFUSED(tuttiCommRegister(comm, buffer, sizeof buffer, &handle), "tuttiCommRegister", "comm");
    REFUSED(tuttiCommDeregister(comm, &local), "tuttiCommDeregister", "comm");
  }
  REFUSED(tuttiCommRegister(pair.comms[0], nullptr, 8, &handle), "tuttiCommRegister", "buff is NULL");
  REFUSED(tuttiCommRegister(pair.comms[0], buffer, 0, &handle), "tuttiCommRegister", "size is 0");
  REFUSED(tuttiCommRegister(pair.comms[0], buffer, SIZE_MAX, &handle), "tuttiCommRegister", "size");
  REFUSED(tuttiCommRegister(pair.comms[0], buffer, 8, nullptr), "tuttiCommRegister", "handle is NULL");
  CHECK(handle == &local);
  REQUIRE(tuttiCommRegister(pair.comms[0], buffer, sizeof buffer, &handle) == tuttiSuccess);
  REFUSED(tuttiCommDeregister(pair.comms[1], handle), "tuttiCommDeregister", "handle");
  REFUSED(tuttiCommDeregister(pair.comms[0], nullptr), "tuttiCommDeregister", "handle");
  CHECK(tuttiCommDeregister(pair.comms[0], handle) == tuttiSuccess);
  REFUSED(tuttiCommDeregister(pair.comms[0], handle), "tuttiCommDeregister", "handle");
  pair.check_works();
}

TEST_CASE("ops refuse what is not theirs", "[bad]") {
  WorkingPair pair;
  float scalar = 2, value = 3, out = -7;
  tuttiRedOp_t op = tuttiMaxRedOp, none = tuttiMaxRedOp;
  for (tuttiComm_t comm : not_handles<tuttiComm_t>()) {
    REFUSED(tuttiRedOpCreatePreMulSum(&none, &scalar, tuttiFloat, tuttiScalarHostImmediate, comm),
            "tuttiRedOpCreatePreMulSum", "comm");
    REFUSED(tuttiRedOpDestroy(tuttiSum, comm), "tuttiRedOpDestroy", "comm");
  }
  const tuttiComm_t comm = pair.comms[0];
  REFUSED(tuttiRedOpCreatePreMulSum(nullptr, &scalar, tuttiFloat, tuttiScalarHostImmediate, comm), "op is NULL");
  REFUSED(tuttiRedOpCreatePreMulSum(&none, nullptr, tuttiFloat, tuttiScalarHostImmediate, comm), "scalar is NULL");
  for (int type : {-1, int{tuttiNumTypes}, INT_MAX})
    REFUSED(tuttiRedOpCreatePreMulSum(&none, &scalar, static_cast<tuttiDataType_t>(type), tuttiScalarHostImmediate, comm),
            "datatype", std::to_string(type).c_str());
  REFUSED(tuttiRedOpCreatePreMulSum(&none, &scalar, tuttiFloat, static_cast<tuttiScalarResidence_t>(2), comm), "residence");
  CHECK(none == tuttiMaxRedOp);

  REQUIRE(tuttiRedOpCreatePreMulSum(&op, &scalar, tuttiFloat, tuttiScalarHostImmediate, comm) == tuttiSuccess);
  REFUSED(tuttiAllReduce(&value, &out, 1, tuttiFloat, op, pair.comms[1], nullptr), "op", "of this communicator");
  REFUSED(tuttiAllReduce(&value, &out, 1, tuttiFloat64, op, comm, nullptr), "op", "float32", "float64");
  REFUSED(tuttiRedOpDestroy(op, pair.comms[1]), "op", "not made");
  for (int built_in : {int{tuttiSum}, int{tuttiAvg}, -1, INT_MAX})
    REFUSED(tuttiRedOpDestroy(static_cast<tuttiRedOp_t>(built_in), comm), "op", "not made");
  CHECK(tuttiRedOpDestroy(op, comm) == tuttiSuccess);
  REFUSED(tuttiRedOpDestroy(op, comm), "op", "destroyed");
  REFUSED(tuttiAllReduce(&value, &out, 1, tuttiFloat, op, comm, nullptr), "op", "destroyed");
  CHECK(out == -7);
  pair.check_works();
}
