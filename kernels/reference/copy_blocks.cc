// Block from[i] to block to[i], all layers, keys and values.
#include <algorithm>

#include "kernels/reference/ops.h"
#include "kernels/reference/storage.h"

namespace banyan::kernels::reference {

void CopyBlocks(const CopyBlocksArgs& args) {
  auto& cache = static_cast<ReferenceKvCache&>(*args.cache);
  for (int i = 0; i < args.num_blocks; ++i) {
    for (int layer = 0; layer < cache.shape().num_layers; ++layer) {
      std::copy_n(cache.Keys(layer, args.from[i], 0), cache.BlockFloats(),
                  cache.Keys(layer, args.to[i], 0));
    }
  }
}

}  // namespace banyan::kernels::reference
