using Krewe.Abstractions;

namespace Krewe.Workers.Tests.Runner;

public sealed class TinyModelTests
{
    private const long KvMemoryBytes = 8 << 20;

    [Fact]
    public void Greedy_answers_of_the_model_card_come_out_word_for_word()
    {
        using var model = TinyModel.Open();
        using var runner = ModelRunners.Create(model, WorkerDevice.Cpu, kvFormat: null, 16, KvMemoryBytes, threads: 1);
        var samples = TinyModel.Samples();
        Assert.True(samples.Count >= 14, $"{samples.Count} samples found in the model card");
        var blocks = Enumerable.Range(0, runner.Kv.BlockCount).ToArray();
        Assert.All(samples, sample =>
        {
            var prompt = model.Tokenizer.Encode(TinyModel.Prompt(sample.Question), addSpecialTokens: false);
            var sequence = new Sequence(runner, prompt, blocks);
            var answer = model.Tokenizer.Decode([.. sequence.Decode(400, [.. model.StopTokenIds])]);
            Assert.Equal(sample.Answer, answer.Trim());
        });
    }

    [Fact]
    public void The_reference_runner_chooses_the_same_tokens()
    {
        using var model = TinyModel.Open();
        using var cpu = ModelRunners.Create(model, WorkerDevice.Cpu, kvFormat: null, 16, KvMemoryBytes, threads: 1);
        using var reference = ModelRunners.Create(model, WorkerDevice.Reference, kvFormat: null, 16, KvMemoryBytes, 1);
        const string question = "The code of amber is 4821. The code of birch is 9137. What is the code of birch?";
        var prompt = model.Tokenizer.Encode(TinyModel.Prompt(question), addSpecialTokens: false);
        var blocks = Enumerable.Range(0, cpu.Kv.BlockCount).ToArray();
        var expected = new Sequence(reference, prompt, blocks).Decode(24, [.. model.StopTokenIds]);
        var actual = new Sequence(cpu, prompt, blocks).Decode(24, [.. model.StopTokenIds]);
        Assert.NotEmpty(expected);
        Assert.Equal(expected, actual);
    }
}
