using System.Net;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

public sealed class ChatTests
{
    private const string Path = "/v1/chat/completions";
    private const string Ask = """{"model":"tiny","messages":[{"role":"user","content":"hello"}]""";

    [Fact]
    public async Task A_chat_is_answered_through_a_prefill_and_a_decode_worker()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var hold = harness.Decode.Hold = new Hold(1);

        var answering = harness.PostAsync(Path, Ask + "}");
        await UntilBothSaidTheFirstTokenAsync(harness, hold);
        hold.Release();
        using var response = await answering;

        var answer = await Json.OfAsync(response);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(SiloHarness.Answer, answer.Text("choices.0.message.content"));
        Assert.Equal("assistant", answer.Text("choices.0.message.role"));
        Assert.Equal("stop", answer.Text("choices.0.finish_reason"));
        Assert.Equal("chat.completion", answer.Text("object"));
        Assert.Equal("tiny", answer.Text("model"));
        var requestId = response.Headers.GetValues("x-request-id").Single();
        Assert.Equal($"chatcmpl-{requestId}", answer.Text("id"));
        Assert.Equal(requestId, harness.Prefill.Started.Single().Key.RequestId);
        Assert.Equal(requestId, harness.Decode.Started.Single().Key.RequestId);
        Assert.Equal("prefill-0", harness.Decode.Started.Single().Source.WorkerId);
        await harness.UntilQuietAsync();
        Assert.Equal(1, harness.Counters.Duplicate);
        Assert.Equal(0, harness.Counters.Contradicting);
    }

    [Fact]
    public async Task The_prompt_is_the_template_over_the_messages()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var response = await harness.PostAsync(Path, """
            {"messages":[{"role":"system","content":"be kind"},
                         {"role":"user","content":[{"type":"text","text":"hel"},{"type":"text","text":"lo"}]}]}
            """);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var prompt = harness.Prefill.Started.Single().PromptTokens.Select(token => (int)token).ToArray();
        Assert.Equal(
            "<|begin|><|system|>be kind<|end|><|user|>hello<|end|><|assistant|>",
            TestModel.Folder.Tokenizer.Decode(prompt, skipSpecialTokens: false));
    }

    [Fact]
    public async Task A_stream_has_role_text_finish_and_done_in_this_order()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var events = new EventStream(await harness.PostStreamAsync(Path, Ask + ""","stream":true}"""));
        var chunks = await events.ToEndAsync();

        Assert.Equal("assistant", chunks[0].Text("choices.0.delta.role"));
        Assert.Equal("", chunks[0].Text("choices.0.delta.content"));
        Assert.All(chunks[..^1], chunk => Assert.Null(chunk.Text("choices.0.finish_reason")));
        Assert.Equal("stop", chunks[^1].Text("choices.0.finish_reason"));
        Assert.Equal(SiloHarness.Answer, EventStream.TextOf(chunks));
        Assert.All(chunks, chunk => Assert.Equal("chat.completion.chunk", chunk.Text("object")));
        Assert.Single(chunks.Select(chunk => (chunk.Text("id"), chunk.Int("created"), chunk.Text("model"))).Distinct());
        Assert.All(chunks, chunk => Assert.False(chunk.TryGetProperty("usage", out _)));
    }

    [Fact]
    public async Task Usage_comes_in_a_chunk_of_its_own_when_it_is_asked_for()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var hold = harness.Decode.Hold = new Hold(1);
        using var events = new EventStream(await harness.PostStreamAsync(
            Path, Ask + ""","max_tokens":3,"stream":true,"stream_options":{"include_usage":true}}"""));
        await UntilBothSaidTheFirstTokenAsync(harness, hold);
        hold.Release();
        var chunks = await events.ToEndAsync();

        Assert.Equal(0, chunks[^1].At("choices").GetArrayLength());
        Assert.Equal("length", chunks[^2].Text("choices.0.finish_reason"));
        Assert.Equal(3, chunks[^1].Int("usage.completion_tokens"));
        Assert.Equal(
            harness.Prefill.Started.Single().PromptTokens.Count, chunks[^1].Int("usage.prompt_tokens"));
        Assert.Equal(1, chunks[^1].Int("usage.prompt_tokens_details.cached_tokens"));
    }

    [Fact]
    public async Task The_stop_token_counts_as_output_and_is_no_text()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var answer = await Json.OfAsync(await harness.PostAsync(Path, Ask + ""","return_token_ids":true}"""));

        int[] expected = [.. TestModel.Encode(SiloHarness.Answer), TestModel.StopToken];
        Assert.Equal(expected, answer.At("choices.0.token_ids").EnumerateArray().Select(id => id.GetInt32()));
        Assert.Equal(expected.Length, answer.Int("usage.completion_tokens"));
        Assert.Equal(SiloHarness.Answer, answer.Text("choices.0.message.content"));
    }

    [Fact]
    public async Task A_request_without_limit_may_fill_the_model_s_default_and_one_with_two_takes_the_newer()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        await harness.PostAsync(Path, Ask + "}");
        await harness.PostAsync(Path, Ask + ""","max_tokens":9,"max_completion_tokens":4}""");
        await harness.PostAsync(Path, Ask + ""","max_tokens":99999}""");

        var starts = harness.Prefill.Started.ToArray();
        Assert.Equal(512u, starts[0].MaxOutputTokens);
        Assert.Equal(4u, starts[1].MaxOutputTokens);
        Assert.Equal(2048u - (uint)starts[2].PromptTokens.Count, starts[2].MaxOutputTokens);
    }

    [Fact]
    public async Task Sampling_fields_reach_the_worker_as_they_were_sent()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        await harness.PostAsync(Path, Ask + """
            ,"temperature":0.5,"top_p":0.25,"top_k":7,"min_p":0.125,"seed":-5,"presence_penalty":-1.5,
            "frequency_penalty":2,"repetition_penalty":1.25,"logit_bias":{"5":-100,"1023":3},"min_tokens":2,
            "ignore_eos":true,"stop_token_ids":[7],"priority":3,"cache_salt":"mine","unknown_field":{"a":1}}
            """);

        var start = harness.Prefill.Started.Single();
        var sampling = start.Sampling;
        Assert.Equal((0.5f, 0.25f, 7u, 0.125f), (sampling.Temperature, sampling.TopP, sampling.TopK, sampling.MinP));
        Assert.Equal(unchecked((ulong)-5L), sampling.Seed);
        Assert.Equal(
            (-1.5f, 2f, 1.25f), (sampling.PresencePenalty, sampling.FrequencyPenalty, sampling.RepetitionPenalty));
        Assert.Equal((-100f, 3f), (sampling.LogitBias[5], sampling.LogitBias[1023]));
        Assert.Equal((2u, true), (start.MinOutputTokens, start.IgnoreEos));
        Assert.Equal((-3, "salt:mine"), (start.Priority, start.PrefixSalt));
        Assert.Equal([7u, 1020u], start.StopTokens.Order());
    }

    [Fact]
    public async Task A_request_without_a_seed_gets_its_own()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        await harness.PostAsync(Path, Ask + "}");
        await harness.PostAsync(Path, Ask + "}");

        var seeds = harness.Prefill.Started.Select(start => start.Sampling.Seed).ToArray();
        Assert.NotEqual(seeds[0], seeds[1]);
    }

    [Fact]
    public async Task The_last_message_of_an_assistant_can_be_continued()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        await harness.PostAsync(Path, """
            {"messages":[{"role":"user","content":"count"},{"role":"assistant","content":"one two"}],
             "continue_final_message":true}
            """);

        var prompt = harness.Prefill.Started.Single().PromptTokens.Select(token => (int)token).ToArray();
        Assert.EndsWith(
            "<|assistant|>one two", TestModel.Folder.Tokenizer.Decode(prompt, skipSpecialTokens: false),
            StringComparison.Ordinal);
    }

    /// <summary>Each worker has a link of its own: what the prefill worker says may come behind the decode worker's
    /// last token, when it counts for nothing any more.</summary>
    private static async Task UntilBothSaidTheFirstTokenAsync(SiloHarness harness, Hold second)
    {
        await second.Reached;
        await Eventually.UntilAsync(() => harness.Counters.Duplicate == 1, "both have said the first token");
    }
}
