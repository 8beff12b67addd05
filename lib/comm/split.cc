// split: how the ranks of a communicator get the id of a new one.
//
// All ranks take part in two all-gathers. In the first each rank gives its color, its key, and the public half of a key pair. In the second
// the first rank of each color gives the new communicator's id. The id's secret is sealed for each member of that color: ranks of other
// colors cannot join.
#include "lib/comm/split.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "lib/base/crypto.h"

namespace tutti {
namespace {

struct Choice {
  int32_t color, key;
  Key open;
};

constexpr std::string_view kHeader = "tutti split";

// The first byte of what the first rank of a color gives. kId: an id follows. kNone: the reason follows why there is none.
constexpr char kId = '+', kNone = '-';
constexpr size_t kMaxReasonBytes = 500;

// The id without its secret, then the secret for each member but the first, in their order.
std::string seal_id(const UniqueId& id, const KeyPair& mine, std::span<const Choice> members) {
  Key secret;
  const UniqueId open = without_secret(id, &secret);
  std::string sealed(1, kId);
  sealed.append(open.data(), open.size());
  for (const Choice& member : members.subspan(1)) {
    const Result<Key> key = shared_key(mine, member.open);
    sealed += key.ok() ? seal(key.value(), 0, kHeader, view_of(secret)) : std::string(sizeof secret + kSealBytes, '\0');
  }
  return sealed;
}

// For member number `index`, which is 1 at least.
Result<UniqueId> unseal_id(std::string_view sealed, const KeyPair& mine, const Key& first, size_t index) {
  constexpr size_t kEach = sizeof(Key) + kSealBytes;
  UniqueId open;
  if (sealed.empty() || sealed[0] != kId)
    return fail(Code::SystemError, "it could not open a rendezvous for the new communicator: ", sealed.substr(std::min<size_t>(sealed.size(), 1), kMaxReasonBytes));
  sealed.remove_prefix(1);
  if (sealed.size() < open.size() + index * kEach) return fail(Code::InternalError, "the id it gave is too short");
  std::copy_n(sealed.begin(), open.size(), open.begin());
  const Result<Key> key = shared_key(mine, first);
  if (!key.ok()) return key.status();
  const std::optional<std::string> bytes = unseal(key.value(), 0, kHeader, sealed.substr(open.size() + (index - 1) * kEach, kEach));
  if (!bytes) return fail(Code::InternalError, "the id it gave was not made for this rank");
  Key secret;
  std::memcpy(secret.data(), bytes->data(), secret.size());
  return with_secret(open, secret);
}

}  // namespace

CommOptions child_alone(const CommOptions& parent, int color) {
  CommOptions options;
  options.split = true;
  options.timeout_s = parent.timeout_s;
  options.blocking = parent.blocking;
  options.name = parent.name;
  options.ranks = color >= 0 ? 1 : 0;
  options.root_key = parent.root_key;
  options.root_rank = parent.root_rank;
  return options;
}

Result<CommOptions> split_comm(const CommOptions& parent, const Settings& settings, Control& control, int color, int key) {
  CommOptions options = child_alone(parent, color);
  const std::string what = concat("CommSplit of ", parent.title());
  const Deadline deadline = Deadline::after_s(settings.seconds(Setting::InitTimeout));
  const KeyPair pair = random_key_pair();
  const Choice mine{color, key, pair.open};
  Result<std::vector<std::string>> choices =
      control.all_gather(std::string(reinterpret_cast<const char*>(&mine), sizeof mine), deadline, what);
  if (!choices.ok()) return choices.status();
  std::vector<std::pair<int, int>> order;  // (key, rank)
  std::vector<Choice> all(static_cast<size_t>(parent.ranks));
  for (int peer = 0; peer < parent.ranks; ++peer) {
    Choice& choice = all[static_cast<size_t>(peer)];
    if (choices.value()[peer].size() != sizeof choice) return fail(Code::InvalidUsage, "rank ", peer, " is not in ", what);
    std::memcpy(&choice, choices.value()[peer].data(), sizeof choice);
    if (color >= 0 && choice.color == color) order.emplace_back(choice.key, peer);
  }
  std::sort(order.begin(), order.end());
  std::vector<Choice> members;
  for (const auto& [their_key, peer] : order) members.push_back(all[static_cast<size_t>(peer)]);
  options.ranks = static_cast<int>(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    if (order[i].second == parent.rank) options.rank = static_cast<int>(i);

  // All ranks take part in the second all-gather, those without a color, too.
  std::string sealed;
  Status none;
  const bool first = order.size() > 1 && options.rank == 0;
  if (first) {
    // make_unique_id() could return the parent's id, made from TUTTI_COMM_ID.
    const Result<UniqueId> made = make_child_id(settings);
    if (made.ok()) {
      options.id = made.value();
      sealed = seal_id(options.id, pair, members);
    } else {
      none = made.status();
      sealed = concat(kNone, none.text().substr(0, kMaxReasonBytes));
    }
  }
  Result<std::vector<std::string>> ids = control.all_gather(sealed, deadline, what);
  if (!ids.ok()) return ids.status();
  if (order.size() < 2) return options;
  if (!none.ok()) return fail(none.code(), what, ": rank ", parent.rank, ": no rendezvous for the new communicator: ", none.text());
  if (first) return options;
  const Result<UniqueId> id = unseal_id(ids.value()[static_cast<size_t>(order[0].second)], pair, members[0].open, static_cast<size_t>(options.rank));
  if (!id.ok()) return fail(id.status().code(), what, ": rank ", order[0].second, ": ", id.status().text());
  options.id = id.value();
  return options;
}

}  // namespace tutti
