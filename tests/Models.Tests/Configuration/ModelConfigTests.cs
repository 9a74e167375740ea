using System.Text;
using System.Text.Json.Nodes;

namespace Krewe.Models.Tests.Configuration;

public class ModelConfigTests
{
    private const string Llama = """
        {"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":1000,"hidden_size":64,
         "intermediate_size":128,"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,
         "rms_norm_eps":1e-05,"rope_theta":500000.0,"max_position_embeddings":4096,"tie_word_embeddings":true,
         "hidden_act":"silu",
         "bos_token_id":1,"eos_token_id":[2,3],
         "torch_dtype":"bfloat16","rope_scaling":{"factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
         "original_max_position_embeddings":1024,"rope_type":"llama3"}}
        """;

    [Fact]
    public void The_bundled_model_reads_as_its_card_says()
    {
        var config = ModelConfig.Load(TestFiles.TinyModel);
        Assert.Equal(("LlamaForCausalLM", "llama"), (config.Architecture, config.ModelType));
        Assert.Equal((1024, 256, 640, 4),
            (config.VocabularySize, config.HiddenSize, config.IntermediateSize, config.Layers));
        Assert.Equal((4, 2, 64, 2048), (config.Heads, config.KvHeads, config.HeadDim, config.MaxPositions));
        Assert.Equal((1e-5f, 10000.0, RopeKind.Plain), (config.RmsNormEps, config.Rope.Theta, config.Rope.Kind));
        Assert.Equal((false, false, false), (config.TieEmbeddings, config.AttentionBias, config.QkNorm));
        Assert.Equal((1019, DType.BF16), (config.BosTokenId, config.WeightType));
        Assert.Null(config.SlidingWindow);
        Assert.Equal([1020], config.EosTokenIds);
    }

    [Fact]
    public void A_llama_3_config_reads_field_by_field()
    {
        var config = Read();
        Assert.Equal((16, true, 500000.0), (config.HeadDim, config.TieEmbeddings, config.Rope.Theta));
        Assert.Equal([2, 3], config.EosTokenIds);
        Assert.Equal(
            new RopeSettings
            {
                Theta = 500000,
                Kind = RopeKind.Llama3,
                Factor = 8,
                LowFrequencyFactor = 1,
                HighFrequencyFactor = 4,
                OriginalMaxPositions = 1024,
            },
            config.Rope);
    }

    [Fact]
    public void Families_differ_in_the_fields_that_differ()
    {
        var qwen2 = Read(("architectures", "[\"Qwen2ForCausalLM\"]"), ("model_type", "\"qwen2\""),
            ("rope_scaling", "null"),
            ("sliding_window", "512"), ("use_sliding_window", "false"), ("max_window_layers", "2"));
        Assert.Equal((true, false, (int?)null), (qwen2.AttentionBias, qwen2.QkNorm, qwen2.SlidingWindow));
        var qwen3 = Read(("architectures", "[\"Qwen3ForCausalLM\"]"), ("model_type", "\"qwen3\""),
            ("rope_scaling", "null"),
            ("attention_bias", "false"),
            ("layer_types", "[\"full_attention\",\"full_attention\",\"full_attention\",\"full_attention\"]"));
        Assert.Equal((false, true, 128), (qwen3.AttentionBias, qwen3.QkNorm, qwen3.HeadDim));
        var mistral = Read(("architectures", "[\"MistralForCausalLM\"]"), ("model_type", "\"mistral\""),
            ("rope_scaling", "null"),
            ("sliding_window", "512"), ("num_key_value_heads", "null"), ("bos_token_id", "null"),
            ("eos_token_id", "2"));
        Assert.Equal((512, 4, (int?)null), (mistral.SlidingWindow, mistral.KvHeads, mistral.BosTokenId));
        Assert.Equal([2], mistral.EosTokenIds);
    }

    [Fact]
    public void Every_kind_of_rope_reads_in_both_spellings()
    {
        Assert.Equal((RopeKind.Linear, 2.0), Rope("""{"type":"linear","factor":2}"""));
        Assert.Equal((RopeKind.Plain, 1.0), Rope("""{"rope_type":"default"}"""));
        Assert.Equal((RopeKind.Yarn, 4.0),
            Rope("""{"type":"yarn","factor":4.0,"original_max_position_embeddings":1024}"""));
        var yarn = Read(
            ("rope_scaling", """{"type":"yarn","factor":4.0,"original_max_position_embeddings":1024}""")).Rope;
        Assert.Equal((32.0, 1.0, 0.1 * Math.Log(4) + 1), (yarn.BetaFast, yarn.BetaSlow, yarn.AttentionFactor));
        var newer = Read(("rope_scaling", "null"), ("rope_theta", "null"),
            ("rope_parameters", """{"rope_type":"default","rope_theta":7000.0}"""));
        Assert.Equal((7000.0, RopeKind.Plain), (newer.Rope.Theta, newer.Rope.Kind));

        static (RopeKind Kind, double Factor) Rope(string json) =>
            Read(("rope_scaling", json)) is var config ? (config.Rope.Kind, config.Rope.Factor) : default;
    }

    [Theory]
    [InlineData("architectures", "[\"GemmaForCausalLM\"]", "architecture GemmaForCausalLM is not supported")]
    [InlineData("architectures", "[]", "\"architectures\" is empty")]
    [InlineData("architectures", "null", "\"architectures\" is missing")]
    [InlineData("model_type", "\"qwen2\"", "\"model_type\" is \"qwen2\"")]
    [InlineData("mlp_bias", "true", "mlp_bias")]
    [InlineData("attention_bias", "true", "attention_bias")]
    [InlineData("use_qk_norm", "true", "\"use_qk_norm\" true is not supported")]
    [InlineData("alibi", "true", "alibi")]
    [InlineData("clip_qkv", "8.0", "clip_qkv")]
    [InlineData("no_rope_layers", "[1,0,1,0]", "no_rope_layers")]
    [InlineData("logit_scale", "0.0625", "logit_scale")]
    [InlineData("hidden_act", "\"gelu\"", "\"hidden_act\" is \"gelu\"")]
    [InlineData("quantization_config", "{\"quant_method\":\"gptq\"}", "quantization_config")]
    [InlineData("partial_rotary_factor", "0.5", "partial_rotary_factor")]
    [InlineData("num_local_experts", "8", "num_local_experts")]
    [InlineData("rope_scaling", "{\"type\":\"dynamic\",\"factor\":2}", "\"dynamic\"")]
    [InlineData("rope_scaling", "{\"type\":\"linear\"}", "rope_scaling.factor")]
    [InlineData("rope_scaling", "{\"type\":\"linear\",\"factor\":0.5}", "at least 1")]
    [InlineData("rope_scaling", "{\"type\":\"yarn\",\"factor\":4,\"mscale\":1}", "rope_scaling.mscale")]
    [InlineData("rope_scaling", "{\"rope_type\":\"default\",\"mrope_section\":[1]}", "mrope_section")]
    [InlineData("rope_theta", "0", "rope_theta")]
    [InlineData("torch_dtype", "\"float8\"", "\"torch_dtype\" is \"float8\"")]
    [InlineData("num_key_value_heads", "3", "must be a multiple")]
    [InlineData("num_attention_heads", "0", "num_attention_heads")]
    [InlineData("num_attention_heads", "6", "not a multiple")]
    [InlineData("head_dim", "15", "is odd")]
    [InlineData("hidden_size", "\"64\"", "hidden_size")]
    [InlineData("hidden_size", "64.5", "hidden_size")]
    [InlineData("vocab_size", "null", "\"vocab_size\" is missing")]
    [InlineData("vocab_size", "999999999", "vocab_size")]
    [InlineData("num_hidden_layers", "1000000", "num_hidden_layers")]
    [InlineData("eos_token_id", "1000", "eos_token_id")]
    [InlineData("eos_token_id", "[2,-1]", "eos_token_id[1]")]
    [InlineData("rms_norm_eps", "0", "rms_norm_eps")]
    [InlineData("tie_word_embeddings", "1", "true or false")]
    [InlineData("layer_types", "[\"full_attention\"]", "layer_types")]
    [InlineData("layer_types", "[\"full_attention\",\"full_attention\",\"full_attention\",\"sliding_attention\"]",
        "alike")]
    public void What_is_not_supported_or_wrong_is_refused_by_name(string field, string json, string part)
    {
        var message = Assert.Throws<ModelException>(() => Read((field, json))).Message;
        Assert.StartsWith("config.json: ", message, StringComparison.Ordinal);
        Assert.Contains(part, message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_flag_that_switches_a_variant_off_is_accepted() =>
        Assert.Equal(64, Read(("mlp_bias", "false"), ("use_qk_norm", "false"), ("alibi", "false")).HiddenSize);

    [Fact]
    public void A_window_on_some_layers_is_refused() =>
        Assert.Contains("max_window_layers", Assert.Throws<ModelException>(() => Read(
            ("architectures", "[\"Qwen2ForCausalLM\"]"), ("model_type", "\"qwen2\""), ("sliding_window", "512"),
            ("use_sliding_window", "true"), ("max_window_layers", "2"))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_missing_or_broken_file_is_named()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("config.json: the file is missing",
            Assert.Throws<ModelException>(() => ModelConfig.Load(folder.FullPath)).Message, StringComparison.Ordinal);
        folder.Write("config.json", "{");
        Assert.Contains("config.json: not valid JSON",
            Assert.Throws<ModelException>(() => ModelConfig.Load(folder.FullPath)).Message, StringComparison.Ordinal);
    }

    private static ModelConfig Read(params (string Field, string Json)[] changes)
    {
        var config = JsonNode.Parse(Llama)!.AsObject();
        foreach (var (field, json) in changes)
            config[field] = JsonNode.Parse(json);
        return ModelConfigReader.Read(JsonField.Parse("config.json", Encoding.UTF8.GetBytes(config.ToJsonString())));
    }
}
