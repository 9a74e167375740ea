using Krewe.Abstractions;
using Krewe.Control.Admission;

namespace Krewe.Control.Tests.Admission;

public class AdmissionPolicyTests
{
    private static readonly AdmissionSnapshot Idle = new()
    {
        OpenRequests = 0,
        MaxRequests = 10,
        Draining = false,
        PrefillWorkers = 1,
        DecodeWorkers = 1,
    };

    [Fact]
    public void The_last_place_is_given_and_the_next_request_is_refused()
    {
        Assert.IsType<Admitted>(AdmissionPolicy.Decide(Idle with { OpenRequests = 9 }));
        var refused = Refused(Idle with { OpenRequests = 10 });
        Assert.Equal(ErrorCode.Overloaded, refused.Code);
        Assert.Equal(429, ErrorCatalog.Describe(refused.Code).HttpStatus);
        Assert.Contains("10 requests of at most 10", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, 1)]
    [InlineData(0.5, 6)]
    [InlineData(100.0, 1)]
    [InlineData(0.001, 60)]
    public void The_wait_comes_from_the_rate_at_which_requests_end(double? endedPerSecond, int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds),
            Refused(Idle with { OpenRequests = 12, EndedPerSecond = endedPerSecond }).RetryAfter);

    [Theory]
    [InlineData(0, 1, "takes prefill is")]
    [InlineData(1, 0, "takes decode is")]
    [InlineData(0, 0, "prefill and decode is")]
    public void Without_a_worker_the_refusal_says_which_is_missing(int prefill, int decode, string missing)
    {
        var refused = Refused(Idle with { PrefillWorkers = prefill, DecodeWorkers = decode });
        Assert.Equal(ErrorCode.NoWorkers, refused.Code);
        Assert.Contains(missing, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_draining_silo_says_so_before_anything_else() =>
        Assert.Equal(ErrorCode.Draining, Refused(Idle with { Draining = true, PrefillWorkers = 0 }).Code);

    private static Refused Refused(AdmissionSnapshot snapshot) =>
        Assert.IsType<Refused>(AdmissionPolicy.Decide(snapshot));

    [Fact]
    public void A_tenant_at_its_limit_is_told_its_limit()
    {
        var refused = Assert.IsType<Refused>(AdmissionPolicy.Decide(
            Idle with { TenantRequests = 3, TenantMaxRequests = 3 }));

        Assert.Equal(ErrorCode.RateLimited, refused.Code);
        Assert.IsType<Admitted>(AdmissionPolicy.Decide(Idle with { TenantRequests = 2, TenantMaxRequests = 3 }));
    }

    [Fact]
    public void A_tenant_that_floods_leaves_half_of_the_places_to_others()
    {
        var silo = Idle with { MaxRequests = 100 };
        var taken = 0;
        while (AdmissionPolicy.Decide(silo with { OpenRequests = taken, TenantRequests = taken }) is Admitted) taken++;

        Assert.Equal(50, taken);
        Assert.IsType<Admitted>(AdmissionPolicy.Decide(silo with { OpenRequests = taken, TenantRequests = 0 }));
    }
}
