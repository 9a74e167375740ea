using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Workers.Tests.Runner;

/// <summary>Each family's arithmetic against the scalar reference, on a small random checkpoint.</summary>
public sealed class FamilyTests
{
    private const long KvMemoryBytes = 4 << 20;

    // Logits are about 3 in size after two layers; each product is a chain of at most 120 terms in F32.
    private const double LogitTolerance = 3e-4;

    // A key or value next to a rounding boundary may fall on the other side in F32: one unit of the format's last
    // place, 2^-8 or 2^-11 of a number, spread over the positions that are averaged.
    private const double RoundedKvTolerance = 0.15;

    /// <summary>Family, architecture, weights, fields of config.json, tolerance.</summary>
    public static TheoryData<string, string, string, string, double> Families => new()
    {
        { "Llama 2", "LlamaForCausalLM", "F32", "{}", LogitTolerance },
        { "Llama 2 in BF16", "LlamaForCausalLM", "BF16", "{}", RoundedKvTolerance },
        {
            "Llama 3", "LlamaForCausalLM", "F32", """{ "rope_theta": 500000.0, "rope_scaling": null }""",
            LogitTolerance
        },
        {
            "Llama 3.1", "LlamaForCausalLM", "F32", """
            { "rope_theta": 500000.0, "rope_scaling": { "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
              "high_freq_factor": 4.0, "original_max_position_embeddings": 64 } }
            """, LogitTolerance
        },
        {
            "Llama 3.2", "LlamaForCausalLM", "F16", """
            { "rope_theta": 500000.0, "tie_word_embeddings": true, "rope_scaling": { "rope_type": "llama3",
              "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 64 } }
            """, RoundedKvTolerance
        },
        {
            "Llama, linear scaling", "LlamaForCausalLM", "F32",
            """{ "rope_scaling": { "type": "linear", "factor": 2.0 } }""", LogitTolerance
        },
        { "Mistral v0.1", "MistralForCausalLM", "F32", """{ "sliding_window": 37 }""", LogitTolerance },
        {
            "Mistral v0.3", "MistralForCausalLM", "F32", """{ "sliding_window": null, "rope_theta": 1000000.0 }""",
            LogitTolerance
        },
        { "Qwen2", "Qwen2ForCausalLM", "F32", """{ "tie_word_embeddings": true }""", LogitTolerance },
        {
            "Qwen2.5", "Qwen2ForCausalLM", "F32",
            """{ "rope_theta": 1000000.0, "sliding_window": 37, "use_sliding_window": false }""", LogitTolerance
        },
        {
            "Qwen2.5, YaRN", "Qwen2ForCausalLM", "F32", """
            { "rope_scaling": { "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32 } }
            """, LogitTolerance
        },
        {
            "Qwen3", "Qwen3ForCausalLM", "F32", """{ "rope_theta": 1000000.0, "tie_word_embeddings": true }""",
            LogitTolerance
        },
    };

    [Theory]
    [MemberData(nameof(Families))]
    public void The_cpu_runner_agrees_with_the_reference(
        string family, string architecture, string type, string changes, double tolerance)
    {
        using var checkpoint = new RandomCheckpoint(architecture, type, JsonNode.Parse(changes)!.AsObject());
        Compare(checkpoint, ServedWeights.Stored, tolerance, family);
    }

    [Fact]
    public void Sharded_files_compute_what_one_file_computes()
    {
        using var whole = new RandomCheckpoint("Qwen3ForCausalLM", "F32");
        using var sharded = new RandomCheckpoint("Qwen3ForCausalLM", "F32", shards: 3);
        using var model = sharded.Open();
        Assert.Equal(3, Directory.GetFiles(model.Directory, "*.safetensors").Length);
        Assert.Equal(
            Compare(whole, ServedWeights.Stored, LogitTolerance, "one file"),
            Compare(sharded, ServedWeights.Stored, LogitTolerance, "three files"));
    }

    /// <summary>The reference computes with the same rounded weights, in double.</summary>
    [Theory]
    [InlineData("LlamaForCausalLM", "F32", "{}")]
    [InlineData("LlamaForCausalLM", "F32", """{ "tie_word_embeddings": true }""")]
    [InlineData("Qwen2ForCausalLM", "F32", "{}")]
    [InlineData("Qwen3ForCausalLM", "F32", "{}")]
    public void Int8_weights_agree_with_the_reference(string architecture, string type, string changes)
    {
        using var checkpoint = new RandomCheckpoint(architecture, type, JsonNode.Parse(changes)!.AsObject());
        var rounded = Compare(checkpoint, ServedWeights.Int8, LogitTolerance, architecture);
        // And are not the stored ones: a logit of size 3 moves by some hundredths.
        var stored = Compare(checkpoint, ServedWeights.Stored, LogitTolerance, architecture);
        Assert.InRange(rounded.Zip(stored).Max(pair => Math.Abs(pair.First - pair.Second)), 1e-3, 1);
    }

    private static float[] Compare(RandomCheckpoint checkpoint, ServedWeights weights, double tolerance, string what)
    {
        using var model = checkpoint.Open();
        using var cpu = ModelRunners.Create(model, WorkerDevice.Cpu, kvFormat: null, 16, KvMemoryBytes, 1, weights);
        using var reference = ModelRunners.Create(
            model, WorkerDevice.Reference, kvFormat: null, 16, KvMemoryBytes, 1, weights);
        var random = new Random(5);
        var prompt = Enumerable.Range(0, 90).Select(_ => random.Next(cpu.VocabularySize)).ToArray();
        var blocks = Enumerable.Range(0, 8).ToArray();

        var expected = new Sequence(reference, prompt, blocks).Prefill();
        var actual = new Sequence(cpu, prompt, blocks).Prefill();

        var worst = expected.Zip(actual).Max(pair => Math.Abs(pair.First - pair.Second));
        Assert.True(worst <= tolerance, $"{what}: a logit is {worst} off.");
        Assert.True(expected.Max() - expected.Min() > 1, $"{what}: the logits are too flat to show a difference.");
        return actual;
    }

    [Fact]
    public void A_broken_weight_shows_as_logits_that_are_not_numbers()
    {
        using var checkpoint = new RandomCheckpoint(
            "LlamaForCausalLM", "BF16", broken: "model.layers.1.mlp.up_proj.weight");
        using var model = checkpoint.Open();
        using var runner = ModelRunners.Create(model, WorkerDevice.Cpu, kvFormat: null, 16, KvMemoryBytes, threads: 1);
        var logits = new Sequence(runner, [1, 2, 3], [0]).Prefill();
        Assert.All(logits, logit => Assert.True(float.IsNaN(logit)));
    }

    [Fact]
    public void A_half_that_is_not_a_number_is_refused_at_load_with_its_tensors_name()
    {
        using var checkpoint = new RandomCheckpoint(
            "LlamaForCausalLM", "F16", broken: "model.layers.1.mlp.up_proj.weight");
        using var model = checkpoint.Open();
        var error = Assert.Throws<ModelException>(
            () => ModelRunners.Create(model, WorkerDevice.Cpu, kvFormat: null, 16, KvMemoryBytes, threads: 1));
        Assert.Contains("model.layers.1.mlp.up_proj.weight", error.Message, StringComparison.Ordinal);
    }
}
