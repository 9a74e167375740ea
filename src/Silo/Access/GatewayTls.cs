using System.Net.Security;
using Krewe.Abstractions;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Krewe.Silo.Access;

/// <summary>TLS on the gateway, where a certificate was given. A renewed one is taken without a restart.</summary>
internal static class GatewayTls
{
    public static void Use(ListenOptions listen, SiloOptions options)
    {
        if (options is not { TlsCertificate: { } certificate, TlsKey: { } key }) return;
        var files = new CertificateFiles(certificate, key);
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
            {
                ServerCertificateContext = files.Current,
            }),
        });
    }

    /// <summary>How a silo calls another's gateway: beside what the system trusts, the certificate that this one serves
    /// itself. Silos of a cluster are reached by address, for which a shared certificate is not made out.</summary>
    public static SslClientAuthenticationOptions ForPeers(SiloOptions options)
    {
        if (options is not { TlsCertificate: { } certificate, TlsKey: { } key })
            return new SslClientAuthenticationOptions();
        var files = new CertificateFiles(certificate, key);
        return new SslClientAuthenticationOptions
        {
            RemoteCertificateValidationCallback = (_, shown, _, errors) => errors == SslPolicyErrors.None
                || shown?.GetRawCertData().AsSpan().SequenceEqual(files.Current.TargetCertificate.RawData) == true,
        };
    }
}
