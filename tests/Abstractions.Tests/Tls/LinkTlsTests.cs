using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Krewe.Abstractions.Tests.Tls;

public sealed class LinkTlsTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _stranger = new();

    public void Dispose()
    {
        _authority.Dispose();
        _stranger.Dispose();
    }

    [Fact]
    public async Task Members_of_one_authority_talk()
    {
        var (silo, worker) = (new LinkTls(_authority.Issue("silo")), new LinkTls(_authority.Issue("worker")));

        Assert.Equal((7, null), await TalkAsync(silo, stream => worker.ConnectAsync(stream, "10.0.0.9", default)));
    }

    [Fact]
    public async Task A_certificate_of_another_authority_is_refused_by_both_ends()
    {
        var (silo, stranger) = (new LinkTls(_authority.Issue("silo")), new LinkTls(_stranger.Issue("worker")));

        var (got, refusal) = await TalkAsync(silo, stream => stranger.ConnectAsync(stream, "silo", default));

        Assert.Null(got);
        Assert.Contains("not of this cluster", refusal, StringComparison.Ordinal);
        // The stranger's certificate, with an authority file that trusts the silo's: the silo alone has to refuse it.
        var mixed = new LinkTls(_stranger.Issue("spy") with { Authority = _authority.AuthorityPath });
        (got, refusal) = await TalkAsync(silo, stream => mixed.ConnectAsync(stream, "silo", default));
        Assert.Null(got);
        Assert.Contains("not of this cluster", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_expired_certificate_is_refused()
    {
        var silo = new LinkTls(_authority.Issue("silo"));
        var late = new LinkTls(_authority.Issue("late", isExpired: true));

        var (got, refusal) = await TalkAsync(silo, stream => late.ConnectAsync(stream, "silo", default));

        Assert.Null(got);
        Assert.NotNull(refusal);
    }

    [Fact]
    public async Task Whoever_shows_no_certificate_or_speaks_no_TLS_is_refused()
    {
        var silo = new LinkTls(_authority.Issue("silo"));

        var (got, refusal) = await TalkAsync(silo, async stream =>
        {
            var tls = new SslStream(stream, false, (_, certificate, _, _) => certificate is not null);
            await tls.AuthenticateAsClientAsync("silo");
            return tls;
        });
        Assert.Null(got);
        Assert.NotNull(refusal);

        (got, refusal) = await TalkAsync(silo, async stream =>
        {
            await stream.WriteAsync(new byte[64]);
            return stream;
        });
        Assert.Null(got);
        Assert.NotNull(refusal);
    }

    [Fact]
    public void A_renewed_certificate_is_taken_and_a_broken_one_is_not()
    {
        var files = _authority.Issue("silo");
        var certificates = new CertificateFiles(files.Certificate, files.Key);
        var first = certificates.Current.TargetCertificate.Thumbprint;

        File.WriteAllText(files.Certificate, "half of a");
        Assert.Equal(first, certificates.Current.TargetCertificate.Thumbprint);
        _authority.Issue("silo");

        var second = certificates.Current.TargetCertificate.Thumbprint;
        Assert.NotEqual(first, second);
        Assert.Equal(X509Certificate2.CreateFromPemFile(files.Certificate, files.Key).Thumbprint, second);
    }

    [Fact]
    public void Files_that_cannot_be_used_are_named()
    {
        var files = _authority.Issue("silo");
        Assert.Single((files with { Key = "nowhere.key" }).Validate());
        File.WriteAllText(files.Key, "no key");

        var error = Assert.Throws<KreweException>(() => new LinkTls(files));

        Assert.Equal(ErrorCode.InvalidOptions, error.Code);
        Assert.Contains(files.Key, error.Message, StringComparison.Ordinal);
    }

    /// <summary>What the accepting end read, or why it refused.</summary>
    private static async Task<(int? Got, string? Refusal)> TalkAsync(
        LinkTls accepting, Func<Stream, Task<Stream>> connect)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, ((IPEndPoint)listener.LocalEndpoint).Port);
        using var server = await listener.AcceptTcpClientAsync();
        var accepted = AcceptAsync(accepting, server.GetStream());
        try
        {
            var stream = await connect(client.GetStream()).WaitAsync(Limit);
            await stream.WriteAsync(new byte[] { 7 });
            await stream.FlushAsync();
        }
        catch (IOException)
        {
            // Refused by this end, or by the other before it could say so.
        }

        return await accepted.WaitAsync(Limit);
    }

    private static async Task<(int? Got, string? Refusal)> AcceptAsync(LinkTls tls, Stream stream)
    {
        try
        {
            await using var secured = await tls.AcceptAsync(stream, default);
            var byteRead = new byte[1];
            return await secured.ReadAsync(byteRead) == 1 ? (byteRead[0], null) : (null, "closed");
        }
        catch (IOException e)
        {
            return (null, e.Message);
        }
    }
}
