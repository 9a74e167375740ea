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

    public static TheoryData<string, string, string, double> Families => new()
    {
        { "LlamaForCausalLM", "F32", "{}", LogitTolerance },
        { "LlamaForCausalLM", "BF16", "{}", RoundedKvTolerance },
        { "LlamaForCausalLM", "F16", """{ "tie_word_embeddings": true }""", RoundedKvTolerance },
        {
            "LlamaForCausalLM", "F32", """
            { "rope_scaling": { "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 64 } }
            """, LogitTolerance
        },
        { "LlamaForCausalLM", "F32", """{ "rope_scaling": { "type": "linear", "factor": 2.0 } }""", LogitTolerance },
        {
            "Qwen2ForCausalLM", "F32", """
            { "rope_scaling": { "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32 } }
            """, LogitTolerance
        },
        { "MistralForCausalLM", "F32", """{ "sliding_window": 37 }""", LogitTolerance },
        { "Qwen2ForCausalLM", "F32", "{}", LogitTolerance },
        { "Qwen3ForCausalLM", "F32", "{}", LogitTolerance },
    };

    [Theory]
    [MemberData(nameof(Families))]
    public void The_cpu_runner_agrees_with_the_reference(
        string architecture, string type, string changes, double tolerance)
    {
        using var checkpoint = new RandomCheckpoint(architecture, type, JsonNode.Parse(changes)!.AsObject());
        using var model = checkpoint.Open();
        using var cpu = ModelRunners.Create(model, WorkerDevice.Cpu, kvFormat: null, 16, KvMemoryBytes, threads: 1);
        using var reference = ModelRunners.Create(model, WorkerDevice.Reference, kvFormat: null, 16, KvMemoryBytes, 1);
        var random = new Random(5);
        var prompt = Enumerable.Range(0, 90).Select(_ => random.Next(cpu.VocabularySize)).ToArray();
        var blocks = Enumerable.Range(0, 8).ToArray();

        var expected = new Sequence(reference, prompt, blocks).Prefill();
        var actual = new Sequence(cpu, prompt, blocks).Prefill();

        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, tolerance));
        Assert.True(expected.Max() - expected.Min() > 1, "The logits are too flat to show a difference.");
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
