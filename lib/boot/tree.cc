// tree: see tree.h.
#include "lib/boot/tree.h"

#include <map>

#include "lib/base/host.h"

namespace tutti {

Tree plan_tree(const std::vector<Key>& hosts) {
  std::vector<std::vector<int>> members;  // by host, in the order of the leaders
  std::map<Key, size_t> known;
  for (size_t rank = 0; rank < hosts.size(); ++rank) {
    const size_t host = known.emplace(hosts[rank], members.size()).first->second;
    if (host == members.size()) members.emplace_back();
    members[host].push_back(static_cast<int>(rank));
  }
  Tree tree;
  tree.parent.assign(hosts.size(), -1);
  for (size_t host = 0; host < members.size(); ++host) {
    const std::vector<int>& ranks = members[host];
    if (host > 0) tree.parent[static_cast<size_t>(ranks[0])] = members[(host - 1) / kFanOut][0];
    for (size_t i = 1; i < ranks.size(); ++i) tree.parent[static_cast<size_t>(ranks[i])] = ranks[(i - 1) / kFanOut];
    tree.order.insert(tree.order.end(), ranks.begin(), ranks.end());
  }
  return tree;
}

Key host_identity() { return hash_text("tutti host", std::to_string(host_number())); }

}  // namespace tutti
