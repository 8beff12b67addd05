// ucx_contact: the contacts by which ranks reach one another over UCX, each with its length in front, and the rails made from them.
#include "tests/fuzz/target.h"
#include "transports/ucx/address.h"

using namespace tutti;
using namespace tutti::fuzz;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  std::vector<RankNics> ranks;
  while (!input.empty()) {
    const std::string bytes(input.take(input.two_bytes()));
    const Result<ucx::Contact> contact = ucx::to_contact(bytes);
    if (!contact.ok()) continue;
    demand(ucx::to_bytes(contact.value()) == bytes, "a contact that is read and written is the same");
    ranks.push_back(contact.value().at);
  }
  if (ranks.empty()) return 0;
  const Rails rails = match_rails(ranks);
  demand(!rails.empty() && rails.size() <= kMostRails, "there are 1 to kMostRails rails");
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    for (const std::vector<uint32_t>& rail : rails)
      demand(rail.size() == ranks.size() && rail[rank] < ranks[rank].nics.size(), "a rail has an interface of every rank");
    const RailsBetween there = rails_between(ranks, rails, 0, rank), back = rails_between(ranks, rails, rank, 0);
    demand(there.reachable == back.reachable && there.deal == back.deal, "two ranks see their rails alike");
    for (const uint8_t rail : there.deal) demand(rail < rails.size(), "messages are dealt to rails that are there");
  }
  demand(least_Bps(ranks, rails) > 0, "rails carry something");
  return 0;
}
