// out[t, c] = table[token_ids[t], c]
#include "common/base/check.h"
#include "kernels/reference/ops.h"
#include "kernels/reference/storage.h"

namespace banyan::kernels::reference {

void Embed(const EmbedArgs& args) {
  const auto& table = static_cast<const ReferenceMatrix&>(*args.table);
  BANYAN_CHECK_EQ(args.out.cols, table.cols());
  for (int64_t t = 0; t < args.out.rows; ++t) {
    const TokenId token = args.token_ids[t];
    BANYAN_CHECK(token >= 0 && token < table.rows()) << "token id " << token;
    float* out = args.out.Row<float>(t);
    for (int64_t c = 0; c < args.out.cols; ++c) out[c] = table.At(token, c);
  }
}

}  // namespace banyan::kernels::reference
