// topology: topology files that cannot be used, or that are not the same on all ranks: every rank hears of it at once, and who
// has the wrong one.
#include "tests/fault/board.h"
#include "tests/harness/temporary.h"

using namespace tutti::test;

namespace {

// Ranks 0 to 2 init with one value each of the setting; nullptr: not set.
void init_with(std::initializer_list<const char*> given, Board& board, const char* setting = "TUTTI_TOPO_FILE") {
  const std::vector<const char*> values(given);
  run_with_faults({.ranks = 3}, -1, [&](Rank& rank) {
    if (const char* value = values[static_cast<size_t>(rank.rank)]) setenv(setting, value, 1);
    const tuttiUniqueId id = rank.id();
    tuttiComm_t comm = nullptr;
    board.take(rank.rank, tuttiCommInitRank(&comm, 3, id, rank.rank));
    rank.meet(0);
    if (comm) rank.check(tuttiCommDestroy(comm), "destroy");
  });
}

void check_unusable(const std::string& path, const std::string& what) {
  SharedBoard board;
  init_with({nullptr, path.c_str(), nullptr}, *board.get());
  for (int rank : {0, 1, 2}) check_failure(*board.get(), rank, tuttiInvalidArgument, {"rank 1: TUTTI_TOPO_FILE", path, what});
}

}  // namespace

TEST_CASE("a topology file that one rank cannot use", "[fault]") {
  const TemporaryFile wrong("host a\nhots b\n");
  check_unusable(wrong.path(), ":2: 'hots' is not a statement");
  check_unusable("/nowhere/cluster", "/nowhere/cluster cannot be read");
}

TEST_CASE("a topology for another number of ranks is an error, on one rank or on all", "[fault]") {
  const char* const four = "host:2 core:2";
  for (const std::initializer_list<const char*> given : {std::initializer_list<const char*>{four, four, four}, {nullptr, four, nullptr}}) {
    SharedBoard board;
    init_with(given, *board.get(), "TUTTI_TOPO");
    for (int rank : {0, 1, 2})
      check_failure(*board.get(), rank, tuttiInvalidArgument, {"TUTTI_TOPO='host:2 core:2' (environment): ", "describes 4 ranks", "has 3"});
  }
}

TEST_CASE("topology files that differ", "[fault]") {
  SharedBoard board;
  const TemporaryFile one("host a\nhost b\n"), other("host a\nhost c\n");
  init_with({one.path(), one.path(), other.path()}, *board.get());
  for (int rank : {0, 1, 2}) check_failure(*board.get(), rank, tuttiInvalidUsage, {"ranks 0 and 2", "TUTTI_TOPO_FILE"});
}

TEST_CASE("topology files that say the same, with another comment, are no matter", "[fault]") {
  SharedBoard board;
  const TemporaryFile one("host a\nhost b\n"), other("# mine\nhost a\n\nhost b\n");
  init_with({one.path(), one.path(), other.path()}, *board.get());
  for (int rank : {0, 1, 2}) {
    INFO(board->slots[rank].text);
    CHECK(board->slots[rank].result == tuttiSuccess);
  }
}
