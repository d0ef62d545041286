<?php
// The configuration that is shipped belongs to the image; what is changed in the wiki is on the volume.
if (!defined('DOKU_CONF')) {
    define('DOKU_CONF', '/storage/conf/');
}
include __DIR__ . '/config_cascade.php';
$shipped = ['main' => 'dokuwiki.php', 'license' => 'license.php', 'manifest' => 'manifest.json', 'mediameta' => 'mediameta.php',
    'plugins' => 'plugins.php'];
foreach (['acronyms', 'entities', 'interwiki', 'mime', 'scheme', 'smileys', 'wordblock'] as $kind) {
    $shipped[$kind] = "$kind.conf";
}
foreach ($shipped as $kind => $file) {
    array_unshift($config_cascade[$kind]['default'], "/etc/dokuwiki/$file");
}
array_unshift($config_cascade['plugins']['protected'], '/etc/dokuwiki/plugins.required.php');
