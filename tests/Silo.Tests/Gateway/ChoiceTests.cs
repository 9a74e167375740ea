using System.Text.Json;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>Several answers to one request, and several prompts in one.</summary>
public sealed class ChoiceTests
{
    private const string Path = "/v1/completions";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_choice_is_a_sequence_with_its_own_number(bool stream)
    {
        await using var harness = await SiloHarness.StartPairAsync();
        harness.Script = start => SiloHarness.Limited(start, TestModel.Encode(WordsOf(start.Key.Choice)));

        var texts = await AskAsync(harness, """{"prompt":[5,6],"n":3,"max_tokens":50""", stream);

        Assert.Equal([WordsOf(0), WordsOf(1), WordsOf(2)], texts);
        await harness.UntilQuietAsync();
        var starts = harness.Prefill.Started.ToArray();
        Assert.Equal([0u, 1u, 2u], starts.Select(start => start.Key.Choice));
        Assert.Equal([0u, 1u, 2u], starts.Select(start => start.Sampling.Choice));
        Assert.Single(starts.Select(start => (start.Sampling.Seed, start.Key.RequestId)).Distinct());
    }

    [Fact]
    public async Task Further_choices_start_behind_the_first_one_s_prompt_and_find_it_in_the_cache()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        harness.Prefill.Hold = new Hold(0);

        var answering = harness.PostAsync(Path, """{"prompt":[5],"n":4,"max_tokens":3}""");
        await harness.Prefill.Hold.Reached;
        Assert.Single(harness.Prefill.Started);
        harness.Prefill.Hold.Release();

        var answer = await Json.OfAsync(await answering);
        Assert.Equal(4, answer.At("choices").GetArrayLength());
        Assert.Equal((1, 12), (answer.Int("usage.prompt_tokens"), answer.Int("usage.completion_tokens")));
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task Several_prompts_are_answered_in_their_order_and_each_as_if_alone()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        harness.Script = start => SiloHarness.Limited(
            start, TestModel.Encode($"{start.PromptTokens.Count} {start.Sampling.Choice}"));

        var answer = await Json.OfAsync(await harness.PostAsync(
            Path, """{"prompt":[[5],[6,7],"hello there"],"n":2,"max_tokens":9,"seed":3}"""));

        Assert.Equal(
            ["1 0", "1 1", "2 0", "2 1", $"{Hello} 0", $"{Hello} 1"],
            answer.At("choices").EnumerateArray().Select(choice => choice.Text("text")));
        Assert.Equal(Enumerable.Range(0, 6), answer.At("choices").EnumerateArray().Select(c => c.Int("index")));
        Assert.Equal(3 + Hello, answer.Int("usage.prompt_tokens"));
    }

    [Fact]
    public async Task The_best_of_several_are_shown_best_first()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        // The mock's log-probability falls with the token's id: 7 is better than 9, and 9 than 30.
        harness.Script = start => SiloHarness.Limited(start, [.. Enumerable.Repeat(
            start.Key.Choice switch { 0 => 30, 1 => 9, _ => 7 }, 4)]);

        var answer = await Json.OfAsync(await harness.PostAsync(
            Path, """{"prompt":[5],"n":2,"best_of":3,"max_tokens":4,"return_token_ids":true}"""));

        Assert.Equal(
            [7, 9], answer.At("choices").EnumerateArray().Select(choice => choice.Int("token_ids.0")));
        Assert.Equal([0, 1], answer.At("choices").EnumerateArray().Select(choice => choice.Int("index")));
        Assert.Equal(JsonValueKind.Null, answer.At("choices.0.logprobs").ValueKind);
        Assert.Equal(12, answer.Int("usage.completion_tokens"));
    }

    [Fact]
    public async Task A_stop_string_ends_its_own_choice_only()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        harness.Script = start => SiloHarness.Limited(
            start, TestModel.Encode(start.Key.Choice == 1 ? "one two STOP three" : "one two three four"));

        var answer = await Json.OfAsync(await harness.PostAsync(
            Path, """{"prompt":[5],"n":3,"max_tokens":50,"stop":" STOP","include_stop_str_in_output":true}"""));

        Assert.Equal(
            ["one two three four", "one two STOP", "one two three four"],
            answer.At("choices").EnumerateArray().Select(choice => choice.Text("text")));
        Assert.Equal(" STOP", answer.Text("choices.1.stop_reason"));
        Assert.Equal(JsonValueKind.Null, answer.At("choices.0.stop_reason").ValueKind);
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task A_stop_token_of_the_client_is_told_by_its_id()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        harness.Script = start => SiloHarness.Limited(start, TestModel.Encode("one two"));

        var answer = await Json.OfAsync(await harness.PostAsync(
            Path, $$"""{"prompt":[5],"max_tokens":50,"stop_token_ids":[{{TestModel.StopToken}}]}"""));

        Assert.Equal(TestModel.StopToken, answer.Int("choices.0.stop_reason"));
    }

    [Fact]
    public async Task A_client_that_leaves_frees_every_choice()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        harness.Decode.Hold = new Hold(3);
        using var leave = new CancellationTokenSource();

        var answering = harness.PostStreamAsync(Path, """{"prompt":[5],"n":5,"max_tokens":50}""", leave.Token);
        await Eventually.UntilAsync(() => harness.Decode.Started.Count == 5, "all choices run");
        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answering);
        await harness.UntilQuietAsync();
        Assert.Equal(5, harness.Decode.Aborted.Distinct().Count());
    }

    private static int Hello => TestModel.Folder.Tokenizer.Encode("hello there", addSpecialTokens: true).Length;

    private static string WordsOf(uint choice) => string.Join(' ', Enumerable.Repeat("word", (int)choice + 2));

    private static async Task<string[]> AskAsync(SiloHarness harness, string body, bool stream)
    {
        if (!stream)
        {
            var answer = await Json.OfAsync(await harness.PostAsync(Path, body + "}"));
            return [.. answer.At("choices").EnumerateArray().Select(choice => choice.Text("text")!)];
        }

        using var events = new EventStream(await harness.PostStreamAsync(Path, body + ",\"stream\":true}"));
        var chunks = await events.ToEndAsync();
        foreach (var index in Enumerable.Range(0, 3))
        {
            Assert.Single(chunks, chunk => chunk.Int("choices.0.index") == index
                && chunk.Text("choices.0.finish_reason") is not null);
        }

        return
        [
            .. chunks.GroupBy(chunk => chunk.Int("choices.0.index")).OrderBy(group => group.Key)
                .Select(group => string.Concat(group.Select(chunk => chunk.Text("choices.0.text")))),
        ];
    }
}
