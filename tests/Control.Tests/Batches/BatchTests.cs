using Krewe.Abstractions;
using Krewe.Control.Batches;

namespace Krewe.Control.Tests.Batches;

public sealed class BatchTests
{
    private const string Endpoint = "/v1/completions";

    private static readonly DateTimeOffset Now = new(2026, 11, 28, 2, 0, 0, TimeSpan.Zero);

    private static readonly BatchRecord Fresh = new()
    {
        BatchId = "batch_1",
        Tenant = "a",
        Endpoint = Endpoint,
        InputFileId = "file-1",
        CompletionWindow = "24h",
        CreatedAt = Now,
        ExpiresAt = Now.AddDays(1),
    };

    [Fact]
    public void Every_status_leads_to_an_end_and_no_end_leads_on()
    {
        var statuses = Enum.GetValues<BatchStatus>();
        foreach (var from in statuses)
        {
            var next = statuses.Where(to => BatchMachine.Allows(from, to)).ToList();
            Assert.Equal(BatchMachine.IsOver(from), next.Count == 0);
        }
    }

    [Fact]
    public void A_batch_that_is_over_does_not_change()
    {
        var over = Apply(Fresh, new BatchChange { Status = BatchStatus.Failed });

        Assert.Equal(BatchStatus.Failed, over.Status);
        Assert.Equal(Now, over.Reached[BatchStatus.Failed]);
        Assert.Same(over, Apply(over, new BatchChange { Status = BatchStatus.InProgress, Completed = 3 }));
    }

    [Fact]
    public void A_step_that_comes_too_late_is_left_out_but_not_what_was_counted()
    {
        var cancelling = Apply(
            Apply(Fresh, new BatchChange { Status = BatchStatus.InProgress }),
            new BatchChange { Status = BatchStatus.Cancelling });

        var after = Apply(cancelling, new BatchChange { Status = BatchStatus.Finalizing, Completed = 3 });

        Assert.Equal((BatchStatus.Cancelling, 3), (after.Status, after.Completed));
    }

    [Fact]
    public void Lines_are_read_with_their_numbers()
    {
        var (lines, errors) = BatchInput.Read([Line("a"), "", Line("b")], Endpoint);

        Assert.Empty(errors);
        Assert.Equal([(1, "a"), (3, "b")], lines.Select(line => (line.Number, line.CustomId)));
        Assert.Equal("""{"prompt":"x"}""", lines[0].Body);
    }

    [Theory]
    [InlineData("not json", "invalid_json_line")]
    [InlineData("[1]", "invalid_json_line")]
    [InlineData("""{"method":"POST","url":"/v1/completions","body":{}}""", "missing_required_parameter")]
    [InlineData("""{"custom_id":"x","method":"GET","url":"/v1/completions","body":{}}""", "invalid_method")]
    [InlineData("""{"custom_id":"x","method":"POST","url":"/v1/embeddings","body":{}}""", "mismatched_endpoint")]
    [InlineData("""{"custom_id":"x","method":"POST","url":"/v1/completions"}""", "missing_required_parameter")]
    [InlineData("""{"custom_id":"x","method":"POST","url":"/v1/completions","body":{"stream":true}}""", "invalid_body")]
    [InlineData("""{"custom_id":"\ud800","method":"POST","url":"/v1/completions","body":{}}""", "invalid_json_line")]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/completions","body":{}}""", "duplicate_custom_id")]
    public void A_wrong_line_is_named_with_its_number(string line, string code)
    {
        var (_, errors) = BatchInput.Read([Line("a"), line, Line("b")], Endpoint);

        var error = Assert.Single(errors);
        Assert.Equal((code, 2), (error.Code, error.Line));
    }

    [Fact]
    public void All_wrong_lines_are_told_up_to_a_number_and_an_empty_file_is_wrong()
    {
        Assert.Equal(
            BatchInput.ErrorsMax, BatchInput.Read(Enumerable.Repeat("x", 1000), Endpoint).Errors.Count);
        Assert.Equal("empty_file", Assert.Single(BatchInput.Read([""], Endpoint).Errors).Code);
        var many = Enumerable.Range(0, BatchInput.LinesMax + 1).Select(i => Line($"{i}"));
        Assert.Equal("too_many_requests", Assert.Single(BatchInput.Read(many, Endpoint).Errors).Code);
    }

    [Fact]
    public void Prompts_with_a_common_beginning_are_next_to_each_other()
    {
        var random = new Random(5);
        var prompts = Enumerable.Range(0, 400)
            .Select(i => (ReadOnlyMemory<int>)(int[])[i % 8, i % 8, random.Next(), random.Next()])
            .ToList();

        var order = PrefixOrder.Of(prompts);

        Assert.Equal(Enumerable.Range(0, 400), order.Order());
        var changes = order.Zip(order.Skip(1)).Count(pair => pair.First % 8 != pair.Second % 8);
        Assert.Equal(7, changes);
        Assert.Equal(2, PrefixOrder.Shared(prompts[0], prompts[8]));
    }

    [Fact]
    public void Equal_prompts_keep_their_order()
    {
        ReadOnlyMemory<int> prompt = new[] { 1, 2 };

        Assert.Equal([0, 1, 2], PrefixOrder.Of([prompt, prompt, prompt]));
    }

    private static BatchRecord Apply(BatchRecord record, BatchChange change) => BatchMachine.Apply(record, change, Now);

    private static string Line(string id) =>
        $$"""{"custom_id":"{{id}}","method":"POST","url":"{{Endpoint}}","body":{"prompt":"x"} }""";
}
