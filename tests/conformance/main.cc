// main of the conformance suite: Catch2's, then one line that says how much was tried over which transport.
#include <cstdlib>
#include <iostream>

#include "tests/catch.h"
#include "tests/conformance/suite.h"
#include "tests/harness/hosts.h"

namespace tutti::test {

std::string transport() {
  const char* name = std::getenv("CONFORMANCE_TRANSPORT");
  return name && *name ? name : "shm";
}

// CONFORMANCE_HOSTS is set: the ranks' processes are dealt out over two hosts, which two wires join.
static std::unique_ptr<Hosts> hosts;

Tally& tally() {
  static Tally tally;
  return tally;
}

void conform(const std::string& name, World world, const std::function<uint64_t(Rank&)>& body) {
  world.environment.emplace_back("TUTTI_TRANSPORTS", transport());
  world.hosts = hosts.get();
  const Outcome outcome = run_ranks(world, [&](Rank& rank) {
    const uint64_t cases = body(rank);
    rank.record(cases);
  });
  INFO(name << '\n' << outcome.text());
  CHECK(outcome.ok());
  if (!outcome.ok()) return;
  const std::string difference = compare_records(outcome);
  INFO(difference);
  CHECK(difference.empty());
  tally().cases += outcome.ranks[0].records.back();
  ++tally().worlds;
}

}  // namespace tutti::test

// Exit code 77: skipped.
int main(int argc, char** argv) {
  if (std::getenv("CONFORMANCE_HOSTS")) {
    std::string why_not;
    tutti::test::hosts = tutti::test::Hosts::make(2, why_not);
    if (!tutti::test::hosts) {
      std::cout << "skipped: " << why_not << std::endl;
      return 77;
    }
  }
  const int result = tutti::test::run_catch(argc, argv);
  const tutti::test::Tally& tally = tutti::test::tally();
  std::cout << "conformance: " << tally.cases << " cases over " << tutti::test::transport() << " (" << tally.worlds
            << " worlds of ranks)" << std::endl;
  return result;
}
