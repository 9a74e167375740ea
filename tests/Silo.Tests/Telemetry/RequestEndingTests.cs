using Krewe.Abstractions;
using Krewe.Silo.Telemetry;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Tests.Telemetry;

public sealed class RequestEndingTests
{
    [Theory]
    [InlineData(ErrorCode.NoWorkers, false, "refused", "no_workers")]
    [InlineData(ErrorCode.Overloaded, false, "refused", "overloaded")]
    [InlineData(ErrorCode.AttemptsExhausted, true, "failed", "attempts_exhausted")]
    [InlineData(ErrorCode.WorkerLost, true, "failed", "worker_lost")]
    [InlineData(ErrorCode.DeadlineExceeded, true, "failed", "deadline_exceeded")]
    [InlineData(ErrorCode.ClientClosedRequest, true, "cancelled", "client_closed_request")]
    [InlineData(ErrorCode.ModelNotFound, false, "invalid", "model_not_found")]
    public void An_error_ends_a_request_as_its_client_and_its_time_say(
        ErrorCode code, bool wasLetIn, string outcome, string name)
    {
        var ending = RequestEnding.Of(new KreweException(code, "why"), wasLetIn);

        Assert.Equal((outcome, name), (ending.Outcome, ending.Code));
    }

    [Fact]
    public void Exceptions_of_the_server_mean_something_too()
    {
        Assert.Equal("cancelled", RequestEnding.Of(new OperationCanceledException(), true).Outcome);
        Assert.Equal("cancelled", RequestEnding.Of(new IOException(), true).Outcome);
        Assert.Equal("invalid", RequestEnding.Of(new BadHttpRequestException("too large"), false).Outcome);
        Assert.Equal("failed", RequestEnding.Of(new InvalidOperationException(), true).Outcome);

        // How an answer ends that broke after it had begun.
        var cut = new BadHttpRequestException("cut", new KreweException(ErrorCode.EngineFault, "why"));
        Assert.Equal(new RequestEnding("failed", "engine_fault"), RequestEnding.Of(cut, true));
    }
}
