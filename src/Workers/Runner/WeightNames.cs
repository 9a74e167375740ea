namespace Krewe.Workers;

/// <summary>Tensor names of Hugging Face's Llama-like checkpoints.</summary>
internal static class WeightNames
{
    public const string Embedding = "model.embed_tokens.weight";
    public const string FinalNorm = "model.norm.weight";
    public const string Head = "lm_head.weight";

    public const string AttentionNorm = "input_layernorm.weight";
    public const string Query = "self_attn.q_proj";
    public const string Key = "self_attn.k_proj";
    public const string Value = "self_attn.v_proj";
    public const string AttentionOutput = "self_attn.o_proj.weight";
    public const string QueryNorm = "self_attn.q_norm.weight";
    public const string KeyNorm = "self_attn.k_norm.weight";
    public const string FeedForwardNorm = "post_attention_layernorm.weight";
    public const string Gate = "mlp.gate_proj.weight";
    public const string Up = "mlp.up_proj.weight";
    public const string Down = "mlp.down_proj.weight";

    public static string InLayer(int layer, string name) => $"model.layers.{layer}.{name}";
}
