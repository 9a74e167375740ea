using Krewe.Abstractions;

namespace Krewe.Cli.Tests.Serving;

public sealed class WorkerSetTests
{
    [Fact]
    public void One_prefill_and_one_decode_worker_are_the_usual_set()
    {
        var set = WorkerSet.From(null, null, null);

        Assert.Equal([("prefill-0", WorkerRole.Prefill), ("decode-0", WorkerRole.Decode)], set.Members());
        Assert.Equal("1 prefill + 1 decode worker", set.ToString());
    }

    [Fact]
    public void A_mixed_worker_needs_no_others()
    {
        var set = WorkerSet.From(null, null, 1);

        Assert.Equal([("mixed-0", WorkerRole.Mixed)], set.Members());
        Assert.Empty(set.Validate());
        Assert.Equal("1 mixed worker", set.ToString());
    }

    [Fact]
    public void Naming_one_role_keeps_the_usual_other()
    {
        var set = WorkerSet.From(2, null, null);

        Assert.Equal(new WorkerSet(2, 1, 0), set);
        Assert.Equal(["prefill-0", "prefill-1", "decode-0"], set.Members().Select(member => member.Id));
    }

    [Fact]
    public void A_set_that_cannot_serve_is_refused()
    {
        Assert.Single(WorkerSet.From(0, null, null).Validate());
        Assert.Single(WorkerSet.From(null, 0, null).Validate());
        Assert.Equal(2, WorkerSet.From(0, 0, null).Validate().Count());
    }
}
