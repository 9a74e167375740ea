// The whole module: one operation a file, one compilation.
#include "attention_decode.cu"
#include "attention_merge.cu"
#include "attention_prefill.cu"
#if WGMMA
#include "attention_prefill_wgmma.cu"
#endif
#include "block_copy.cu"
#include "crc32c.cu"
#include "embedding.cu"
#include "linear.cu"
#include "linear_int8.cu"
#include "rms_norm.cu"
#include "rope_kv_write.cu"
#include "sample.cu"
#include "swiglu.cu"
