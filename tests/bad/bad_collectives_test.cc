// bad_collectives: every call that moves data, with every argument wrong in turn. One table of the calls, one sweep per
// argument, so that a new collective is tested when it is added to the table.
#include <climits>
#include <cstring>

#include "tests/bad/refused.h"

using namespace tutti::test;

namespace {

constexpr size_t kCount = 8;

// A call on rank 0 of two, with root or peer 0 unless said otherwise. `send` and `recv` have room for 2 * kCount floats.
struct Arguments {
  const void* send;
  void* recv;
  size_t count = kCount;
  int type = tuttiFloat, op = tuttiSum, root = 0;
  tuttiComm_t comm;
  tuttiStream_t stream = nullptr;
};

struct Door {
  const char* name;
  bool sends, receives, reduces;
  const char* root;  // what the argument is called in the sentence; null: none
  bool in_place;     // can work in place
  tuttiResult_t (*call)(const Arguments&);
};

tuttiDataType_t type_of(const Arguments& a) {
  return static_cast<tuttiDataType_t>(a.type);
}
tuttiRedOp_t op_of(const Arguments& a) {
  return static_cast<tuttiRedOp_t>(a.op);
}

const Door kDoors[] = {
    {"tuttiAllReduce", true, true, true, nullptr, true,
     [](const Arguments& a) { return tuttiAllReduce(a.send, a.recv, a.count, type_of(a), op_of(a), a.comm, a.stream); }},
    {"tuttiReduce", true, true, true, "root", true,
     [](const Arguments& a) {
       return tuttiReduce(a.send, a.recv, a.count, type_of(a), op_of(a), a.root, a.comm, a.stream);
     }},
    {"tuttiBroadcast", true, true, false, "root", true,
     [](const Arguments& a) { return tuttiBroadcast(a.send, a.recv, a.count, type_of(a), a.root, a.comm, a.stream); }},
    {"tuttiBcast", false, true, false, "root", true,
     [](const Arguments& a) { return tuttiBcast(a.recv, a.count, type_of(a), a.root, a.comm, a.stream); }},
    {"tuttiAllGather", true, true, false, nullptr, true,
     [](const Arguments& a) { return tuttiAllGather(a.send, a.recv, a.count, type_of(a), a.comm, a.stream); }},
    {"tuttiReduceScatter", true, true, true, nullptr, true,
     [](const Arguments& a) { return tuttiReduceScatter(a.send, a.recv, a.count, type_of(a), op_of(a), a.comm, a.stream); }},
    {"tuttiAlltoAll", true, true, false, nullptr, true,
     [](const Arguments& a) { return tuttiAlltoAll(a.send, a.recv, a.count, type_of(a), a.comm, a.stream); }},
    {"tuttiGather", true, true, false, "root", true,
     [](const Arguments& a) { return tuttiGather(a.send, a.recv, a.count, type_of(a), a.root, a.comm, a.stream); }},
    {"tuttiScatter", true, true, false, "root", true,
     [](const Arguments& a) { return tuttiScatter(a.send, a.recv, a.count, type_of(a), a.root, a.comm, a.stream); }},
    {"tuttiSend", true, false, false, "peer", true,
     [](const Arguments& a) { return tuttiSend(a.send, a.count, type_of(a), a.root, a.comm, a.stream); }},
    {"tuttiRecv", false, true, false, "peer", true,
     [](const Arguments& a) { return tuttiRecv(a.recv, a.count, type_of(a), a.root, a.comm, a.stream); }},
    {"tuttiAllGatherV", true, true, false, nullptr, true,
     [](const Arguments& a) {
       const size_t counts[] = {a.count, a.count};
       return tuttiAllGatherV(a.send, a.recv, counts, nullptr, type_of(a), a.comm, a.stream);
     }},
    {"tuttiReduceScatterV", true, true, true, nullptr, true,
     [](const Arguments& a) {
       const size_t counts[] = {a.count, a.count};
       return tuttiReduceScatterV(a.send, a.recv, counts, type_of(a), op_of(a), a.comm, a.stream);
     }},
    {"tuttiAlltoAllV", true, true, false, nullptr, false,
     [](const Arguments& a) {
       const size_t counts[] = {a.count, a.count};
       return tuttiAlltoAllV(a.send, counts, nullptr, a.recv, counts, nullptr, type_of(a), a.comm, a.stream);
     }},
};

// The sweep's buffers: `recv` is poisoned, and must stay so.
struct Buffers {
  Buffers() {
    std::memset(send, 0x11, sizeof send);
    std::memset(recv, 0x5a, sizeof recv);
  }
  void check_untouched() const {
    for (size_t i = 0; i < sizeof recv; ++i)
      if (reinterpret_cast<const unsigned char*>(recv)[i] != 0x5a) FAIL("byte " << i << " of recvbuff was written");
  }
  Arguments on(tuttiComm_t comm) { return {.send = send, .recv = recv, .comm = comm}; }
  float send[2 * kCount], recv[2 * kCount];
};

}  // namespace

TEST_CASE("collectives refuse what is no communicator", "[bad]") {
  WorkingPair pair;
  Buffers buffers;
  tuttiComm_t destroyed = nullptr;
  REQUIRE(tuttiCommInitAll(&destroyed, 1, nullptr) == tuttiSuccess);
  REQUIRE(tuttiCommDestroy(destroyed) == tuttiSuccess);
  std::vector<tuttiComm_t> wrong = not_handles<tuttiComm_t>();
  wrong.push_back(destroyed);
  for (const Door& door : kDoors)
    for (tuttiComm_t comm : wrong) REFUSED(door.call(buffers.on(comm)), door.name, "comm is not a communicator");
  for (tuttiComm_t comm : wrong) REFUSED(tuttiBarrier(comm, nullptr), "tuttiBarrier", "comm");
  buffers.check_untouched();
  pair.check_works();
}

TEST_CASE("collectives refuse types, ops, roots and peers out of range", "[bad]") {
  WorkingPair pair;
  Buffers buffers;
  for (const Door& door : kDoors) {
    Arguments good = buffers.on(pair.comms[0]);
    for (int type : {-1, int{tuttiNumTypes}, 99, INT_MAX, INT_MIN}) {
      Arguments a = good;
      a.type = type;
      REFUSED(door.call(a), door.name, "datatype", std::to_string(type).c_str());
    }
    for (int op : {-1, int{tuttiNumOps}, 99, INT_MAX, INT_MIN}) {
      if (!door.reduces) continue;
      Arguments a = good;
      a.op = op;
      REFUSED(door.call(a), "op", std::to_string(op).c_str());
    }
    for (int root : {-1, 2, INT_MAX, INT_MIN}) {
      if (!door.root) continue;
      Arguments a = good;
      a.root = root;
      REFUSED(door.call(a), door.name, door.root, std::to_string(root).c_str());
      a.count = 0;  // a wrong root is wrong with nothing to move, too
      REFUSED(door.call(a), door.name, door.root);
    }
  }
  buffers.check_untouched();
  pair.check_works();
}

TEST_CASE("collectives refuse buffers that cannot be", "[bad]") {
  WorkingPair pair;
  Buffers buffers;
  for (const Door& door : kDoors) {
    INFO(door.name);
    const Arguments good = buffers.on(pair.comms[0]);
    Arguments a = good;
    a.send = nullptr;
    if (door.sends) REFUSED(door.call(a), door.name, "sendbuff is NULL");
    a = good;
    a.recv = nullptr;
    if (door.receives) REFUSED(door.call(a), door.name, "buff is NULL");
    for (size_t count : {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4 + 1, SIZE_MAX / 8 + 1}) {
      a = good;
      a.count = count;
      REFUSED(door.call(a), door.name, "larger than the address space");
    }
    if (!door.sends || !door.receives) continue;
    for (ptrdiff_t shift : {-4, -1, 1, 4}) {  // bytes
      // Blocks of a Gather and its kin meet in place elsewhere than the others' buffers: an odd byte is wrong for all.
      a = good;
      a.send = reinterpret_cast<const char*>(buffers.recv) + kCount * 2 + shift;
      a.recv = reinterpret_cast<char*>(buffers.recv) + kCount * 2;
      REFUSED(door.call(a), door.name, "overlap");
    }
    if (door.in_place) continue;
    a = good;
    a.send = a.recv;
    REFUSED(door.call(a), door.name, "cannot work in place");
  }
  buffers.check_untouched();
  pair.check_works();
}

TEST_CASE("a count of zero needs no buffers", "[bad]") {
  WorkingPair pair;
  for (const Door& door : kDoors) {
    INFO(door.name);
    REQUIRE(tuttiGroupStart() == tuttiSuccess);  // a Send to itself wants its Recv; the V calls want all ranks
    for (int rank = 0; rank < 2; ++rank) {
      Arguments a{.send = nullptr, .recv = nullptr, .count = 0, .comm = pair.comms[static_cast<size_t>(rank)]};
      if (door.root && std::strcmp(door.root, "peer") == 0) a.root = 1 - rank;
      CHECK(door.call(a) == tuttiSuccess);
      if (std::strcmp(door.name, "tuttiSend") == 0)
        CHECK(tuttiRecv(nullptr, 0, tuttiFloat, 1 - rank, a.comm, nullptr) == tuttiSuccess);
      if (std::strcmp(door.name, "tuttiRecv") == 0)
        CHECK(tuttiSend(nullptr, 0, tuttiFloat, 1 - rank, a.comm, nullptr) == tuttiSuccess);
    }
    CHECK(tuttiGroupEnd() == tuttiSuccess);
  }
  pair.check_works();
}

TEST_CASE("the V calls refuse arrays that cannot be", "[bad]") {
  WorkingPair pair;
  Buffers buffers;
  const tuttiComm_t comm = pair.comms[0];
  const size_t good[] = {2, 2}, other[] = {3, 2}, sum_overflows[] = {SIZE_MAX - 1, 4}, far[] = {0, SIZE_MAX - 1};
  float* const send = buffers.send;
  float* const recv = buffers.recv;
  REFUSED(tuttiAllGatherV(send, recv, nullptr, nullptr, tuttiFloat, comm, nullptr), "tuttiAllGatherV", "recvcounts is NULL");
  REFUSED(tuttiAllGatherV(send, recv, sum_overflows, nullptr, tuttiFloat, comm, nullptr), "tuttiAllGatherV",
          "address space");
  REFUSED(tuttiAllGatherV(send, recv, good, far, tuttiFloat, comm, nullptr), "tuttiAllGatherV", "address space");
  REFUSED(tuttiReduceScatterV(send, recv, nullptr, tuttiFloat, tuttiSum, comm, nullptr), "tuttiReduceScatterV",
          "recvcounts is NULL");
  REFUSED(tuttiReduceScatterV(send, recv, sum_overflows, tuttiFloat, tuttiSum, comm, nullptr), "tuttiReduceScatterV",
          "address space");
  REFUSED(tuttiAlltoAllV(send, nullptr, nullptr, recv, good, nullptr, tuttiFloat, comm, nullptr), "tuttiAlltoAllV",
          "sendcounts is NULL");
  REFUSED(tuttiAlltoAllV(send, good, nullptr, recv, nullptr, nullptr, tuttiFloat, comm, nullptr), "tuttiAlltoAllV",
          "recvcounts is NULL");
  REFUSED(tuttiAlltoAllV(send, good, nullptr, recv, other, nullptr, tuttiFloat, comm, nullptr), "tuttiAlltoAllV",
          "sends itself 2", "expects 3");
  REFUSED(tuttiAlltoAllV(send, good, far, recv, good, nullptr, tuttiFloat, comm, nullptr), "tuttiAlltoAllV",
          "address space");
  REFUSED(tuttiAlltoAllV(send, good, nullptr, recv, good, far, tuttiFloat, comm, nullptr), "tuttiAlltoAllV",
          "address space");
  buffers.check_untouched();
  pair.check_works();
}

TEST_CASE("collectives refuse what is no stream", "[bad]") {
  WorkingPair pair;
  Buffers buffers;
  tuttiStream_t destroyed = nullptr;
  REQUIRE(tuttiStreamCreate(&destroyed) == tuttiSuccess);
  REQUIRE(tuttiStreamDestroy(destroyed) == tuttiSuccess);
  std::vector<tuttiStream_t> wrong = not_handles<tuttiStream_t>();
  wrong.erase(wrong.begin());  // NULL is the synchronous stream
  wrong.push_back(destroyed);
  for (const Door& door : kDoors)
    for (tuttiStream_t stream : wrong) {
      Arguments a = buffers.on(pair.comms[0]);
      a.stream = stream;
      REFUSED(door.call(a), door.name, "stream is not a stream");
    }
  for (tuttiStream_t stream : wrong) REFUSED(tuttiBarrier(pair.comms[0], stream), "tuttiBarrier", "stream is not a stream");
  buffers.check_untouched();
  pair.check_works();
}

TEST_CASE("an error inside a group is the group's, and nothing of it starts", "[bad]") {
  WorkingPair pair;
  for (const Door& door : kDoors) {
    INFO(door.name);
    Buffers buffers;
    int sent[2] = {1, 2}, received[2] = {-7, -7};
    REQUIRE(tuttiGroupStart() == tuttiSuccess);
    for (int rank = 0; rank < 2; ++rank)
      CHECK(tuttiAllReduce(&sent[rank], &received[rank], 1, tuttiInt, tuttiSum, pair.comms[rank], nullptr) == tuttiSuccess);
    Arguments a = buffers.on(pair.comms[0]);
    a.type = 77;
    CHECK(door.call(a) == tuttiInvalidArgument);
    a.type = 88;  // the first error counts
    CHECK(door.call(a) == tuttiInvalidArgument);
    REFUSED(tuttiGroupEnd(), door.name, "77");
    CHECK(received[0] == -7);
    CHECK(received[1] == -7);
    buffers.check_untouched();
    pair.check_works();
  }
}

TEST_CASE("a group notices handles that ended before it did", "[bad]") {
  WorkingPair pair;
  int sent[2] = {1, 2}, received[2] = {-7, -7};
  SECTION("a stream") {
    tuttiStream_t stream = nullptr;
    REQUIRE(tuttiStreamCreate(&stream) == tuttiSuccess);
    REQUIRE(tuttiGroupStart() == tuttiSuccess);
    for (int rank = 0; rank < 2; ++rank)
      CHECK(tuttiAllReduce(&sent[rank], &received[rank], 1, tuttiInt, tuttiSum, pair.comms[rank], rank ? stream : nullptr) ==
            tuttiSuccess);
    CHECK(tuttiStreamDestroy(stream) == tuttiSuccess);
    REFUSED(tuttiGroupEnd(), "stream is not a stream");
  }
  SECTION("a communicator") {
    tuttiComm_t other = nullptr;
    int one = 1, out = -7;
    REQUIRE(tuttiCommInitAll(&other, 1, nullptr) == tuttiSuccess);
    REQUIRE(tuttiGroupStart() == tuttiSuccess);
    for (int rank = 0; rank < 2; ++rank)
      CHECK(tuttiAllReduce(&sent[rank], &received[rank], 1, tuttiInt, tuttiSum, pair.comms[rank], nullptr) == tuttiSuccess);
    CHECK(tuttiAllReduce(&one, &out, 1, tuttiInt, tuttiSum, other, nullptr) == tuttiSuccess);
    CHECK(tuttiCommDestroy(other) == tuttiSuccess);
    REFUSED(tuttiGroupEnd(), "comm is not a communicator");
    CHECK(out == -7);
  }
  CHECK(received[0] == -7);
  CHECK(received[1] == -7);
  pair.check_works();
}
