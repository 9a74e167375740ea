using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Krewe.Abstractions;

/// <summary>PEM files for mutual TLS on the links between silos and workers, and between workers.</summary>
/// <param name="Certificate">This process's, with what is between it and the authority.</param>
/// <param name="Key">Its key, without a password.</param>
/// <param name="Authority">Whoever has a certificate of it belongs to the cluster; nobody else does.</param>
public sealed record LinkTlsOptions(string Certificate, string Key, string Authority)
{
    public IEnumerable<string> Validate() =>
        from file in (string[])[Certificate, Key, Authority]
        where !File.Exists(file)
        select $"The file '{file}' for TLS on links does not exist; give --link-cert, --link-key and --link-ca.";
}

/// <summary>
/// Mutual TLS on a link. Both ends show a certificate of the cluster's own authority, and its system's authorities do
/// not count. Host names are not compared: workers come and go at any address, and membership is what matters.
/// </summary>
public sealed class LinkTls
{
    private readonly CertificateFiles _own;
    private readonly LinkTlsOptions _options;

    /// <summary>Throws <see cref="KreweException"/> (InvalidOptions) when the files cannot be used.</summary>
    public LinkTls(LinkTlsOptions options)
    {
        _options = options;
        _own = new CertificateFiles(options.Certificate, options.Key);
        try
        {
            if (ReadAuthority().Count == 0)
                throw new CryptographicException("It holds no certificate.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, $"The authority {options.Authority} cannot be used: {e.Message}",
                innerException: e);
        }
    }

    /// <summary>Null when no TLS is wanted.</summary>
    public static LinkTls? Open(LinkTlsOptions? options) => options is null ? null : new LinkTls(options);

    /// <summary>
    /// The listening end. Throws <see cref="IOException"/> that says why the peer is not let in; then the stream is
    /// closed.
    /// </summary>
    public Task<Stream> AcceptAsync(Stream stream, CancellationToken cancellationToken) =>
        ShakeHandsAsync(stream, (tls, policy) => tls.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions
            {
                ServerCertificateContext = _own.Current,
                ClientCertificateRequired = true,
                CertificateChainPolicy = policy,
                RemoteCertificateValidationCallback = IsMember,
            },
            cancellationToken));

    /// <summary>The connecting end; as <see cref="AcceptAsync"/>.</summary>
    public Task<Stream> ConnectAsync(Stream stream, string host, CancellationToken cancellationToken) =>
        ShakeHandsAsync(stream, (tls, policy) => tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = host,
                ClientCertificateContext = _own.Current,
                CertificateChainPolicy = policy,
                RemoteCertificateValidationCallback = IsMember,
            },
            cancellationToken));

    private async Task<Stream> ShakeHandsAsync(Stream stream, Func<SslStream, X509ChainPolicy, Task> authenticate)
    {
        var tls = new SslStream(stream);
        try
        {
            await authenticate(tls, CreatePolicy());
            return tls;
        }
        catch (Exception e)
        {
            await tls.DisposeAsync();
            if (e is AuthenticationException or CryptographicException)
                throw new IOException($"The peer is not of this cluster: {e.Message}", e);
            throw;
        }
    }

    private X509ChainPolicy CreatePolicy()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(ReadAuthority());
        return policy;
    }

    private X509Certificate2Collection ReadAuthority()
    {
        var authority = new X509Certificate2Collection();
        authority.ImportFromPemFile(_options.Authority);
        return authority;
    }

    private static bool IsMember(
        object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors) =>
        certificate is not null && (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None;
}
