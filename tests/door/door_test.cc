// door_test: two doors in one process, libtutti.so's and the test's, share handles, heap, groups and errors; each speaks in its own words.
#include <array>
#include <cstring>
#include <string>

#include "include/tutti/tutti.h"
#include "tests/catch.h"
#include "tests/door/door.h"

namespace {

doorComm_t at_door(tuttiComm_t comm) { return reinterpret_cast<doorComm_t>(comm); }
tuttiComm_t at_tutti(doorComm_t comm) { return reinterpret_cast<tuttiComm_t>(comm); }
doorStream_t at_door(tuttiStream_t stream) { return reinterpret_cast<doorStream_t>(stream); }
tuttiStream_t at_tutti(doorStream_t stream) { return reinterpret_cast<tuttiStream_t>(stream); }

// The thread's last error is the same at both doors.
void check_error(const std::string& text) {
  CHECK(doorWhy() == text);
  CHECK(tuttiGetLastError(nullptr) == text);
}

// Two ranks in this process: rank 0 joins through one door, rank 1 through the other.
struct Pair {
  Pair() {
    doorId id;
    tuttiUniqueId same;
    REQUIRE(doorGetId(&id) == doorOk);
    std::memcpy(same.internal, id.bytes, sizeof same.internal);
    REQUIRE(tuttiGroupStart() == tuttiSuccess);
    CHECK(tuttiCommInitRank(&first, 2, same, 0) == tuttiSuccess);
    CHECK(doorInit(2, &id, 1, &second) == doorOk);
    REQUIRE(doorEnd() == doorOk);
  }
  ~Pair() {  // each at the other door
    CHECK(doorDestroy(at_door(first)) == doorOk);
    CHECK(tuttiCommDestroy(at_tutti(second)) == tuttiSuccess);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  // A sum of both ranks, each at its door, in a group that one door opens and the other closes.
  void check_works(tuttiStream_t first_stream = nullptr, doorStream_t second_stream = nullptr) {
    REQUIRE(doorBegin() == doorOk);
    CHECK(tuttiAllReduce(in[0].data(), out[0].data(), 3, tuttiFloat, tuttiSum, first, first_stream) == tuttiSuccess);
    CHECK(doorAllReduce(in[1].data(), out[1].data(), 3, doorFloat, doorSum, second, second_stream) == doorOk);
    REQUIRE(tuttiGroupEnd() == tuttiSuccess);
    if (first_stream) CHECK(doorStreamWait(at_door(first_stream)) == doorOk);
    if (second_stream) CHECK(tuttiStreamSynchronize(at_tutti(second_stream)) == tuttiSuccess);
    for (auto& result : out) {
      CHECK(result == std::array<float, 3>{11, 22, 33});
      result.fill(-1);
    }
  }

  tuttiComm_t first = nullptr;
  doorComm_t second = nullptr;
  std::array<std::array<float, 3>, 2> in{{{1, 2, 3}, {10, 20, 30}}}, out{};
};

}  // namespace

TEST_CASE("ranks of two doors work together", "[door]") {
  Pair pair;
  pair.check_works();
  int number = 7, received = 0;
  REQUIRE(tuttiGroupStart() == tuttiSuccess);
  CHECK(doorSend(&number, 1, doorInt, 1, at_door(pair.first), nullptr) == doorOk);
  CHECK(tuttiRecv(&received, 1, tuttiInt, 0, at_tutti(pair.second), nullptr) == tuttiSuccess);
  REQUIRE(doorEnd() == doorOk);
  CHECK(received == 7);
}

TEST_CASE("each door has numbers of its own for types and ops", "[door]") {
  tuttiComm_t comm = nullptr;
  REQUIRE(tuttiCommInitAll(&comm, 1, nullptr) == tuttiSuccess);
  double in = 1.5, out = 0;
  CHECK(doorAllReduce(&in, &out, 1, doorDouble, doorMax, at_door(comm), nullptr) == doorOk);
  CHECK(out == 1.5);
  CHECK(doorAllReduce(&in, &out, 1, static_cast<doorType>(3), doorMax, at_door(comm), nullptr) == doorBad);
  check_error("doorAllReduce: type 3 is none of the 3 types");
  CHECK(doorAllReduce(&in, &out, 1, doorDouble, static_cast<doorOp>(2), at_door(comm), nullptr) == doorBad);
  check_error("doorAllReduce: op 2 is no reduction operator");

  // An op that was made has one number at all doors.
  tuttiRedOp_t twice;
  double scalar = 2;
  REQUIRE(tuttiRedOpCreatePreMulSum(&twice, &scalar, tuttiDouble, tuttiScalarHostImmediate, comm) == tuttiSuccess);
  CHECK(doorAllReduce(&in, &out, 1, doorDouble, static_cast<doorOp>(twice), at_door(comm), nullptr) == doorOk);
  CHECK(out == 3);
  CHECK(tuttiCommDestroy(comm) == tuttiSuccess);
}

TEST_CASE("a failure is told in the words of the door where it was made", "[door]") {
  Pair pair;
  float value = 0;
  CHECK(tuttiSend(&value, 1, tuttiFloat, 2, at_tutti(pair.second), nullptr) == tuttiInvalidArgument);
  check_error("tuttiSend: peer is 2, must be 0..1");
  CHECK(doorSend(&value, 1, doorFloat, 2, at_door(pair.first), nullptr) == doorBad);
  check_error("doorSend: to is 2, must be 0..1");
  CHECK(doorRecv(nullptr, 1, doorFloat, 0, pair.second, nullptr) == doorBad);
  check_error("doorRecv: out is NULL");
  doorComm_t none;
  CHECK(doorInit(2, nullptr, 0, &none) == doorBad);
  check_error("doorInit: id is NULL");
}

TEST_CASE("a group is one, whatever door opens, fails or closes it", "[door]") {
  Pair pair;
  float value = 0;
  CHECK(doorEnd() == doorMisuse);
  check_error("doorEnd without doorBegin");
  CHECK(tuttiGroupEnd() == tuttiInvalidUsage);
  check_error("tuttiGroupEnd without tuttiGroupStart");

  REQUIRE(tuttiGroupStart() == tuttiSuccess);
  REQUIRE(doorBegin() == doorOk);
  CHECK(doorRecv(&value, 1, doorFloat, 5, pair.second, nullptr) == doorBad);
  CHECK(tuttiGroupEnd() == tuttiSuccess);
  CHECK(tuttiBarrier(nullptr, nullptr) == tuttiInvalidArgument);
  CHECK(tuttiGroupEnd() == tuttiInvalidArgument);
  check_error("doorRecv: from is 5, must be 0..1");  // the first failure, by its name
  REQUIRE(doorBegin() == doorOk);
  CHECK(tuttiBarrier(nullptr, nullptr) == tuttiInvalidArgument);
  CHECK(doorEnd() == doorBad);
  check_error("tuttiBarrier: comm is not a communicator (NULL, destroyed, or never made)");
  pair.check_works();
}

TEST_CASE("a communicator that one door has aborted is gone at the other", "[door]") {
  tuttiComm_t comm = nullptr;
  REQUIRE(tuttiCommInitAll(&comm, 1, nullptr) == tuttiSuccess);
  REQUIRE(tuttiCommAbort(comm) == tuttiSuccess);
  CHECK(doorDestroy(at_door(comm)) == doorOk);  // once
  CHECK(doorDestroy(at_door(comm)) == doorBad);
}

TEST_CASE("memory of one door is memory of the other", "[door]") {
  void* memory = nullptr;
  REQUIRE(doorAllocate(&memory, 100) == doorOk);
  CHECK(tuttiMemFree(memory) == tuttiSuccess);
  CHECK(doorFree(memory) == doorBad);
  check_error("doorFree: memory is not from doorAllocate, or was freed before");
  REQUIRE(tuttiMemAlloc(&memory, 100) == tuttiSuccess);
  CHECK(doorFree(memory) == doorOk);
}

TEST_CASE("a group spans streams of both doors", "[door]") {
  Pair pair;
  tuttiStream_t first = nullptr;
  doorStream_t second = nullptr;
  REQUIRE(tuttiStreamCreate(&first) == tuttiSuccess);
  REQUIRE(doorStreamCreate(&second) == doorOk);
  pair.check_works(first, second);
  pair.check_works(at_tutti(second), at_door(first));
  pair.check_works(first);
  CHECK(doorStreamDestroy(at_door(first)) == doorOk);
  CHECK(tuttiStreamDestroy(at_tutti(second)) == tuttiSuccess);
}
